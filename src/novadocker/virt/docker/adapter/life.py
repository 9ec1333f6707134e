# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""A server's life, as Nova asks for it."""

import functools
from collections.abc import Callable
from typing import Any

import nova.conf
from nova import exception
from nova.compute import task_states, vm_states
from nova.compute import utils as compute_utils
from nova.virt import driver
from oslo_log import log as logging

from novadocker.virt.docker import (
    ephemeral,
    faults,
    metadata,
    records,
    refusal,
)
from novadocker.virt.docker.adapter.base import Base
from novadocker.virt.docker.errors import ImageRejected
from novadocker.virt.docker.guest import Given
from novadocker.virt.docker.moves import travels

CONF = nova.conf.CONF
LOG = logging.getLogger(__name__)


class LifeCalls(Base):
    """A server's life, as Nova asks for it."""

    def spawn(
        self,
        context: Any,
        instance: Any,
        image_meta: Any,
        injected_files: Any,
        admin_password: Any,
        allocations: Any,
        network_info: Any = None,
        block_device_info: Any = None,
        power_on: bool = True,
        accel_info: Any = None,
    ) -> None:
        """Make a server: its network first, then its process."""
        refused = functools.partial(
            refusal.explain,
            context,
            switch=self._switch,
            service=self._service,
            host=self._settings.binding_host,
            ovn=self._settings.network_backend == "ovn",
        )
        image_id = getattr(image_meta, "id", None) or instance.image_ref
        with (
            faults.building(instance, image_id, refused=refused),
            self._watcher.operation(instance.uuid, ends_running=power_on),
        ):
            if not instance.image_ref or driver.block_device_info_get_mapping(block_device_info):
                raise ImageRejected("A container cannot start from a volume or with one yet.")
            try:
                self._moves.make_room(context, instance)
                self._servers.build(
                    context,
                    instance,
                    network_info,
                    given=Given(files=injected_files or (), password=admin_password),
                    ephemerals=ephemeral.sizes_gb(block_device_info),
                    events=self._events(instance) if power_on else None,
                    start=power_on,
                )
            except Exception:
                self._servers.undo(instance, network_info)
                raise
            self._moves.discard(context, instance)

    def destroy(
        self,
        context: Any,
        instance: Any,
        network_info: Any,
        block_device_info: Any = None,
        destroy_disks: bool = True,
        destroy_secrets: bool = True,
    ) -> None:
        """Remove a server, however much of it there is."""
        self.cleanup(
            context, instance, network_info, block_device_info, destroy_disks, destroy_secrets=destroy_secrets
        )

    def cleanup(
        self,
        context: Any,
        instance: Any,
        network_info: Any,
        block_device_info: Any = None,
        destroy_disks: bool = True,
        migrate_data: Any = None,
        destroy_vifs: bool = True,
        destroy_secrets: bool = True,
    ) -> None:
        """Remove a server's containers, ports and files; what is gone already is fine."""
        with (
            faults.translated(exception.InstanceTerminationFailure),
            self._watcher.operation(instance.uuid, ends_running=False),
        ):
            returns = self._moves.returns(instance)
            self._servers.remove(
                instance,
                network_info or (),
                disconnect=destroy_vifs,
                wipe=destroy_disks and not returns,
                returns=returns,
            )
            if instance.host == self._settings.host:
                self._moves.discard(context, instance)

    def power_off(self, instance: Any, timeout: int = 0, retry_interval: int = 0) -> None:
        """Stop a server's process, kindly for `timeout` seconds; its network stays."""
        with (
            faults.translated(exception.InstancePowerOffFailure),
            self._watcher.operation(instance.uuid, ends_running=False, keeps=True),
        ):
            self._containers.stop(instance.uuid, grace=timeout)

    def power_on(
        self,
        context: Any,
        instance: Any,
        network_info: Any,
        block_device_info: Any = None,
        accel_info: Any = None,
        share_info: Any = None,
    ) -> None:
        """Start a server's process, its network first; nothing is removed on failure."""
        if travels(instance):
            reason = "Its disk is still on its way to this host; a hard reboot fetches it."
            raise exception.InstancePowerOnFailure(reason=reason)
        if not self.instance_exists(instance):
            if self._lost(instance):
                reason = "Its container is gone; a hard reboot makes it again."
                raise exception.InstancePowerOnFailure(reason=reason)
            raise exception.InstanceNotFound(instance_id=instance.uuid)
        with (
            faults.translated(exception.InstancePowerOnFailure),
            self._watcher.operation(instance.uuid, ends_running=True, keeps=True),
        ):
            self._servers.run(context, instance, network_info or (), events=self._events(instance))

    def reboot(
        self,
        context: Any,
        instance: Any,
        network_info: Any,
        reboot_type: str,
        block_device_info: Any = None,
        bad_volumes_callback: Any = None,
        accel_info: Any = None,
        share_info: Any = None,
    ) -> None:
        """Restart a server: softly with time to stop, hard at once, making again what is missing."""
        hard = reboot_type == "HARD"
        # As Nova does it for a stop (nova/compute/manager.py, _get_power_off_values).
        grace = 0 if hard else compute_utils.get_value_from_system_metadata(
            instance, key="image_os_shutdown_timeout", type=int, default=CONF.shutdown_timeout
        )  # fmt: skip
        with faults.translated(faults.failed), self._watcher.operation(instance.uuid, ends_running=True):
            self._containers.stop(instance.uuid, grace=grace)
            if hard:
                self._make_whole(context, instance)
            self._servers.run(context, instance, network_info or (), events=self._events(instance))

    def _make_whole(self, context: Any, instance: Any) -> None:
        """Make again what of a stopped server is missing, and end what was cut short."""
        records.mend(context, instance, service=self._image_service)
        if instance.vm_state != vm_states.RESCUED:
            self._rescue.leave(instance.uuid)  # where entering or leaving it was cut short
        self._moves.take_in(context, instance)
        if not self._containers.complete(instance.uuid):
            self._servers.make(context, instance)

    def set_admin_password(self, instance: Any, new_pass: str) -> None:
        """Change root's password; raises SetAdminPasswdNotSupported where the image has no such account."""
        with faults.translated(faults.failed):
            if not self._servers.set_password(instance, new_pass):
                raise exception.SetAdminPasswdNotSupported
        metadata.save_password(instance, new_pass)

    def pause(self, instance: Any) -> None:
        """Freeze a server's processes."""
        with (
            faults.translated(faults.failed),
            self._watcher.operation(instance.uuid, ends_running=False, keeps=True),
        ):
            self._containers.pause(instance.uuid)

    def unpause(self, instance: Any) -> None:
        """Let a frozen server go on."""
        with (
            faults.translated(faults.failed),
            self._watcher.operation(instance.uuid, ends_running=True, keeps=True),
        ):
            self._containers.unpause(instance.uuid)

    def rescue(
        self,
        context: Any,
        instance: Any,
        network_info: Any,
        image_meta: Any,
        rescue_password: str,
        block_device_info: Any,
        share_info: Any = None,
    ) -> None:
        """Start a container of a rescue image in a server's place, with the server's disk at /mnt."""
        with faults.translated(faults.failed), self._watcher.operation(instance.uuid, ends_running=True):
            self._containers.stop(instance.uuid, grace=0)
            self._rescue.enter(
                context, instance, network_info or (), image=image_meta, password=rescue_password
            )

    def unrescue(self, context: Any, instance: Any) -> None:
        """Give a server its own container back, and start it."""
        with faults.translated(faults.failed), self._watcher.operation(instance.uuid, ends_running=True):
            self._rescue.leave(instance.uuid)
            vifs = instance.get_network_info()
            self._servers.run(context, instance, vifs or (), events=self._events(instance))

    def suspend(self, context: Any, instance: Any) -> None:
        """Freeze a server's processes; what they have in memory stays there."""
        with (
            faults.translated(faults.failed),
            self._watcher.operation(instance.uuid, ends_running=False, keeps=True),
        ):
            self._containers.pause(instance.uuid)

    def resume(
        self,
        context: Any,
        instance: Any,
        network_info: Any,
        block_device_info: Any = None,
        share_info: Any = None,
    ) -> None:
        """Let a suspended server go on; one the host has lost by a reboot meanwhile starts."""
        self.power_on(context, instance, network_info, block_device_info)

    def snapshot(
        self, context: Any, instance: Any, image_id: str, update_task_state: Callable[..., None]
    ) -> None:
        """Write a server's disk into an image; it goes on, and nothing of it stays here."""
        if not self.instance_exists(instance):
            # Nova takes the error for a deleted server and leaves the task as it was, for ever.
            update_task_state(task_state=None)
            raise exception.InstanceNotRunning(instance_id=instance.uuid)

        def uploading() -> None:
            update_task_state(
                task_state=task_states.IMAGE_UPLOADING, expected_state=task_states.IMAGE_PENDING_UPLOAD
            )

        update_task_state(task_state=task_states.IMAGE_PENDING_UPLOAD)
        with (
            faults.translated(faults.failed),
            self._watcher.operation(instance.uuid, ends_running=True, keeps=True),
        ):
            self._snapshots.take(context, instance, image_id, uploading=uploading)

    def resume_state_on_host_boot(
        self, context: Any, instance: Any, network_info: Any, share_info: Any, block_device_info: Any = None
    ) -> None:
        """Start a server that ran before the host went down; one that has lost its container stays down."""
        if self._lost(instance):
            LOG.warning("Its container is gone; a hard reboot makes it again", instance=instance)
            return
        self.power_on(context, instance, network_info, block_device_info)

    def poll_rebooting_instances(self, timeout: int, instances: Any) -> None:
        """Do nothing: a reboot here ends by itself. (Nova calls this unguarded; the base class raises.)"""

    def delete_instance_files(self, instance: Any) -> bool:
        """Remove what is here of a server that is gone or lives elsewhere; says whether its files are."""
        with faults.translated(faults.failed):
            self._servers.remove(instance, (), disconnect=False, wipe=False)
        return self._servers.wipe(instance)
