# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""Looking at servers, as Nova asks."""

from typing import Any

import nova.conf
from nova import exception, objects
from nova.compute import task_states, vm_states
from nova.console import type as ctype
from nova.virt import configdrive, hardware
from oslo_utils import timeutils

from novadocker.virt.docker import (
    console,
    diagnostics,
    faults,
    names,
    power,
    usage,
)
from novadocker.virt.docker.adapter.base import Base

CONF = nova.conf.CONF


class LookingCalls(Base):
    """Looking at servers, as Nova asks."""

    def get_info(self, instance: Any, use_cache: bool = True) -> Any:
        """Return a server's power state; raises InstanceNotFound when it is not of this host.

        One whose container was removed behind our back has stopped: Nova would ignore that it is not found.
        """
        with faults.translated(faults.failed):
            found = self._containers.workload(instance.uuid)
            if found is None and self._lost(instance):
                return hardware.InstanceInfo(state=int(power.Power.SHUTDOWN))
        if found is None:
            raise exception.InstanceNotFound(instance_id=instance.uuid)
        suspended = instance.vm_state == vm_states.SUSPENDED or instance.task_state == task_states.SUSPENDING
        return hardware.InstanceInfo(state=int(power.state(found, suspended=suspended)), internal_id=found.id)

    def list_instances(self) -> list[str]:
        """Return the names of the servers here."""
        with faults.translated(faults.failed):
            return [one.labels.get(names.LABEL_NAME, one.name) for one in self._containers.workloads()]

    def list_instance_uuids(self) -> list[str]:
        """Return the ids of the servers here."""
        with faults.translated(faults.failed):
            return [one.labels[names.LABEL_UUID] for one in self._containers.workloads()]

    def get_num_instances(self) -> int:
        """Return how many servers are here."""
        return len(self.list_instance_uuids())

    def instance_exists(self, instance: Any) -> bool:
        """Say whether a server is here; what a move has left here of another host's server is not it."""
        if instance.host not in (None, self._settings.host):
            return False
        with faults.translated(faults.failed):
            return self._containers.workload(instance.uuid) is not None

    def get_console_output(self, context: Any, instance: Any) -> bytes:
        """Return the end of what a server's process wrote, and how it ended."""
        with faults.translated(faults.failed):
            return console.output(
                self._engine,
                instance.uuid,
                short_of_memory=self._watcher.short_of_memory(instance.uuid),
                lost=self._lost(instance),
            )

    def get_serial_console(self, context: Any, instance: Any) -> Any:
        """Return where nova-serialproxy finds a shell in a server, and the secret that opens it for a while.

        Nova asks twice: for the token, and again when the token is used.
        """
        if not self._terminals.listening:
            raise exception.ConsoleTypeUnavailable(console_type="serial")
        if self.get_info(instance).state != power.Power.RUNNING:
            raise exception.InstanceNotReady(instance_id=instance.uuid)
        return ctype.ConsoleSerial(
            host=self._settings.console_address,
            port=self._settings.console_port,
            internal_access_path=self._terminals.path(instance.uuid),
        )

    def manage_image_cache(self, context: Any, all_instances: Any) -> None:
        """Remove loaded images that no server has needed for as long as Nova is told to keep them."""
        if not CONF.image_cache.remove_unused_base_images:
            return
        with faults.translated(faults.failed):
            self._images.cache.reclaim(
                {one.image_ref for one in all_instances},
                unused_for=CONF.image_cache.remove_unused_original_minimum_age_seconds,
            )

    def cache_image(self, context: Any, image_id: str) -> bool:
        """Load an image for servers to come; says whether it was not there yet."""
        with faults.translated(faults.failed):
            return self._images.load_ahead(context, image_id, disk_limit=self._settings.image_limit_bytes)

    def get_diagnostics(self, instance: Any) -> dict[str, Any]:
        """Return what a server has used, as the API had it before 2.48."""
        with faults.translated(faults.failed):
            return diagnostics.legacy(*self._used(instance), memory_mb=instance.flavor.memory_mb)

    def get_instance_diagnostics(self, instance: Any) -> Any:
        """Return what a server has used.

        `driver` stays unset, which the API shows as null: Nova's list of drivers has no other than its own.
        """
        with faults.translated(faults.failed):
            flavor = instance.flavor
            found = diagnostics.detailed(*self._used(instance), cpus=flavor.vcpus, memory_mb=flavor.memory_mb)
        told = objects.Diagnostics(
            state="running",
            hypervisor="docker",
            hypervisor_os="linux",
            uptime=int(timeutils.delta_seconds(instance.launched_at, timeutils.utcnow(with_timezone=True))),
            config_drive=configdrive.required_by(instance),
            memory_details=objects.diagnostics.MemoryDiagnostics(**found["memory"]),
        )
        for add, values in ((told.add_cpu, "cpus"), (told.add_nic, "nics"), (told.add_disk, "disks")):
            for each in found[values]:
                add(**each)
        return told

    def get_volume_connector(self, instance: Any) -> dict[str, Any]:
        """Refuse: this is the first that Nova asks for when a volume is to be attached, or detached."""
        raise exception.InvalidVolume(reason="This host offers containers no volumes.")

    def _used(self, instance: Any) -> tuple[usage.Usage, list[diagnostics.Traffic]]:
        return self._diagnostics.usage(instance.uuid), self._diagnostics.traffic(instance.uuid)
