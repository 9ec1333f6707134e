# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""Moves between sizes and hosts, as Nova asks for them."""

from typing import Any

from nova import exception, objects

from novadocker.virt.docker import (
    ephemeral,
    faults,
)
from novadocker.virt.docker.adapter.base import Base


class MovingCalls(Base):
    """Moves between sizes and hosts, as Nova asks for them."""

    def migrate_disk_and_power_off(
        self,
        context: Any,
        instance: Any,
        dest: str,
        flavor: Any,
        network_info: Any,
        block_device_info: Any = None,
        timeout: int = 0,
        retry_interval: int = 0,
    ) -> str:
        """Stop a server and hold its disk ready for its new size or host; on failure it is as before."""
        with (
            faults.translated(faults.failed),
            faults.leaving(),
            self._watcher.operation(instance.uuid, ends_running=False),
        ):
            stays = self._stays(context, instance, dest)
            self._moves.leave(
                context, instance, network_info or (), flavor=flavor, grace=timeout, stays=stays
            )
        return ""

    def finish_migration(
        self,
        context: Any,
        migration: Any,
        instance: Any,
        disk_info: Any,
        network_info: Any,
        image_meta: Any,
        resize_instance: bool,
        allocations: Any,
        block_device_info: Any = None,
        power_on: bool = True,
        share_info: Any = None,
    ) -> None:
        """Make a server of its new size, with its disk; its ports are bound to this host already."""
        with faults.translated(faults.failed), self._watcher.operation(instance.uuid, ends_running=power_on):
            self._moves.arrive(
                context,
                instance,
                network_info or (),
                stayed=migration.source_compute == migration.dest_compute,
                ephemerals=ephemeral.sizes_gb(block_device_info),
                events=self._events(instance),
                start=power_on,
            )

    def check_can_live_migrate_destination(
        self,
        context: Any,
        instance: Any,
        src_compute_info: Any,
        dst_compute_info: Any,
        block_migration: bool = False,
        disk_over_commit: bool = False,
    ) -> None:
        """Refuse a live migration; of the base class' own refusal Nova makes an error of its own (500)."""
        raise exception.MigrationPreCheckError(
            reason="A container cannot move while it runs; a cold migration stops it and starts it again."
        )

    def confirm_migration(self, context: Any, migration: Any, instance: Any, network_info: Any) -> None:
        """Let go of the server as it was before; its ports on its new host are not touched."""
        with faults.translated(faults.failed), self._watcher.operation(instance.uuid, ends_running=False):
            stayed = migration.source_compute == migration.dest_compute
            self._moves.stay_away(instance, network_info or (), stayed=stayed)

    def finish_revert_migration(
        self,
        context: Any,
        instance: Any,
        network_info: Any,
        migration: Any,
        block_device_info: Any = None,
        power_on: bool = True,
        share_info: Any = None,
    ) -> None:
        """Run a server again as it was before it moved; Nova has given it its old flavor back."""
        with faults.translated(faults.failed), self._watcher.operation(instance.uuid, ends_running=power_on):
            self._moves.come_back(
                context,
                instance,
                network_info or (),
                events=self._events(instance),
                start=power_on,
            )

    def _stays(self, context: Any, instance: Any, dest: str) -> bool:
        """Say whether a server moves to this same host: by name, since two hosts may share an address."""
        moving = instance.migration_context
        if moving is None:
            return bool(dest == self.get_host_ip_addr())
        found = objects.Migration.get_by_id(context.elevated(), moving.migration_id)
        return bool(found.dest_compute == self._settings.host)
