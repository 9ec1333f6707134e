# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""Nova's ComputeDriver: its arguments become our values, a room does the work, our errors become Nova's."""

import functools
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import nova.conf
from nova import context as nova_context
from nova import exception, objects
from nova.compute import task_states, vm_states
from nova.compute import utils as compute_utils
from nova.console import type as ctype
from nova.image import glance
from nova.network import neutron as nova_neutron
from nova.virt import configdrive, driver, hardware
from nova.virt import event as virt_event
from oslo_log import log as logging
from oslo_utils import timeutils

from novadocker.errors import NovaDockerError
from novadocker.virt.docker import (
    binding,
    capabilities,
    changes,
    conf,
    console,
    device,
    diagnostics,
    ephemeral,
    facts,
    faults,
    metadata,
    names,
    power,
    processors,
    records,
    refusal,
    resources,
    tags,
    topology,
    usage,
)
from novadocker.virt.docker.btrfs import Subvolumes
from novadocker.virt.docker.containers import Containers
from novadocker.virt.docker.disks import Disks
from novadocker.virt.docker.doors import (
    DiskStore,
    Engine,
    FolderStore,
    ImageService,
    Netlink,
    NetworkService,
    Plugging,
    Spool,
    SwitchDB,
)
from novadocker.virt.docker.engine import DockerEngine
from novadocker.virt.docker.ephemeral import Ephemeral
from novadocker.virt.docker.errors import ImageRejected, PortNotReady, SwitchUnreachable
from novadocker.virt.docker.events import Watcher
from novadocker.virt.docker.guest import Given, Guest
from novadocker.virt.docker.images import Images
from novadocker.virt.docker.interfaces import Interfaces
from novadocker.virt.docker.moves import Moves, travels
from novadocker.virt.docker.netns import KernelNetlink
from novadocker.virt.docker.network import EventWait, Network
from novadocker.virt.docker.neutron import Neutron
from novadocker.virt.docker.ovsdb import IdlSwitchDB
from novadocker.virt.docker.plugging import OsVif
from novadocker.virt.docker.ports import Ports
from novadocker.virt.docker.rescue import Rescue
from novadocker.virt.docker.servers import Servers
from novadocker.virt.docker.snapshots import Snapshots
from novadocker.virt.docker.terminals import MARK, Terminals
from novadocker.virt.docker.tickets import Tickets
from novadocker.virt.docker.travel import GlanceDisks

CONF = nova.conf.CONF
LOG = logging.getLogger(__name__)
conf.register(CONF)

_TRANSITIONS = {
    "started": virt_event.EVENT_LIFECYCLE_STARTED,
    "stopped": virt_event.EVENT_LIFECYCLE_STOPPED,
    "paused": virt_event.EVENT_LIFECYCLE_PAUSED,
    "resumed": virt_event.EVENT_LIFECYCLE_RESUMED,
}


class DockerDriver(driver.ComputeDriver):  # type: ignore[misc]
    """Servers are Docker containers."""

    def __init__(
        self,
        virtapi: Any,
        *,
        engine: Engine | None = None,
        netlink: Netlink | None = None,
        switch: SwitchDB | None = None,
        plugging: Plugging | None = None,
        service: NetworkService | None = None,
        describe: Callable[[Any, Any], None] = tags.describe,
        image_service: ImageService | None = None,
        travel: DiskStore | None = None,
        store: FolderStore | None = None,
    ) -> None:
        super().__init__(virtapi)
        self.capabilities = {**driver.ComputeDriver.capabilities, **capabilities.CAPABILITIES}
        plugging = plugging or OsVif()  # registers [os_vif_ovs], which the settings read
        self._settings = conf.settings(CONF)
        host = self._settings.host
        self._engine = engine or DockerEngine(
            url=self._settings.engine_url, timeout=self._settings.api_timeout
        )
        self._switch = switch or IdlSwitchDB(address=self._settings.ovsdb)
        self._netlink = netlink or KernelNetlink()
        self._containers = Containers(engine=self._engine, host=host)
        self._diagnostics = diagnostics.Diagnostics(containers=self._containers, netlink=self._netlink)
        self._images = Images(
            engine=self._engine,
            fetch=_fetch,
            facts=self._facts,
            spool=self._settings.instances_path / "_images",
        )
        self._service = service or Neutron(functools.partial(nova_neutron.get_client, admin=True))
        interfaces = Interfaces(netlink=self._netlink, service=self._service)
        self._network = Network(
            netlink=self._netlink,
            interfaces=interfaces,
            switch=self._switch,
            plugging=plugging,
            owner=host,
            wait_for_mark=self._settings.network_backend == "ovn",
            must_be_ready=self._settings.plugging_is_fatal,
            ready_timeout=self._settings.port_ready_timeout,
        )
        self._ports = Ports(
            containers=self._containers,
            network=self._network,
            interfaces=interfaces,
            describe=describe,
            instances_path=self._settings.instances_path,
        )
        self._servers = Servers(
            containers=self._containers,
            images=self._images,
            network=self._network,
            ports=self._ports,
            settings=self._settings,
            facts=self._facts,
            disk_limit=lambda: self._disk_limit,
            guest=Guest(
                engine=self._engine,
                facts=self._facts,
                content=metadata.drive_content,
                wants_drive=lambda instance: bool(configdrive.required_by(instance)),
            ),
            rate_device=lambda: self._rate_device,
            processors=lambda instance: topology.of_server(instance, self._processors),
            ephemeral=Ephemeral(store=store or Subvolumes(), facts=self._facts),
        )
        self._rescue = Rescue(engine=self._engine, containers=self._containers, servers=self._servers)
        self._image_service = image_service or glance.API()
        self._disks = Disks(engine=self._engine, host=host)
        self._snapshots = Snapshots(disks=self._disks, service=self._image_service)
        self._moves = Moves(
            engine=self._engine,
            containers=self._containers,
            images=self._images,
            network=self._network,
            servers=self._servers,
            disks=self._disks,
            store=travel or GlanceDisks(),
        )
        self._watcher = Watcher(
            engine=self._engine,
            host=host,
            emit=self._emit,
            settled=_settled,
            lost=self._servers.lost,
            rebooted=self._containers.reboot_if_wanted,
        )
        self._beginning = False
        self._terminals = Terminals(
            engine=self._engine,
            find=self._containers.workload,
            # Tickets are void when this process ends, and so are the sessions.
            tickets=Tickets(
                key=secrets.token_bytes(32), valid=self._settings.console_seconds, clock=time.time
            ),
            address=self._settings.console_address,
            port=self._settings.console_port,
        )
        self._known_facts: facts.EngineFacts | None = None
        self._disk_limit = False
        self._rate_device = ""
        self._processors = processors.Processors()

    # -- the host ----------------------------------------------------------------------------------

    def init_host(self, host: str) -> None:
        """Look at the daemon and the switch, and begin to follow events; raises when there is no daemon."""
        with faults.translated(faults.failed):
            found = self._known_facts = self._engine.facts()
            network_api = getattr(getattr(self.virtapi, "_compute", None), "network_api", None)
            if network_api is not None:
                binding.redirect(
                    network_api, nova_host=self._settings.host, binding_host=self._settings.binding_host
                )
                changes.listen(network_api, changed=self._ports_changed)
            LOG.info(
                "Docker %(version)s (API %(api)s), storage %(storage)s, cgroups %(driver)s v%(cgroup)s",
                {"version": found.version, "api": found.api_version, "storage": found.storage_driver,
                 "driver": found.cgroup_driver, "cgroup": found.cgroup_version},
            )  # fmt: skip
            self._disk_limit = facts.disk_limit_supported(found, Path("/proc/self/mountinfo").read_text())
            self._processors = self._divided()
            self._rate_device = str(device.link(self._settings.instances_path, found.root_dir) or "")
            for words in facts.shortcomings(found, disk_limit=self._disk_limit):
                LOG.warning(words)
            self._images.sandbox()
            self._containers.remove_orphans()
            self._disks.sweep()
            servers = self.list_instance_uuids()
        try:
            self._network.sweep(servers)
        except SwitchUnreachable as error:
            LOG.warning("Starting without Open vSwitch: %s", error)
        self._watcher.start()
        self._beginning = True
        if self._settings.console_address:
            self._open_consoles()

    def cleanup_host(self, host: str) -> None:
        """Stop following events and hang up consoles; the servers go on."""
        self._terminals.stop()
        self._watcher.stop()
        self._switch.close()

    def get_available_nodes(self, refresh: bool = False) -> list[str]:
        """Return this host's one node, named as the service is: another than libvirt's beside it."""
        return [self._settings.host]

    def get_available_resource(self, nodename: str) -> dict[str, Any]:
        """Return what the resource tracker keeps of this host."""
        with faults.translated(faults.failed):
            found = self._known_facts = self._engine.facts()
            if self._beginning:
                # Nova asks for the first time after it has gone through its servers, and resumed those that
                # ran before the host went down (nova/compute/manager.py, pre_start_hook).
                self._beginning = False
                self._watcher.look_again(self._servers.placed())
        return {
            **resources.available(found, hostname=nodename, architecture=found.architecture),
            "vcpus": len(self._processors.shared | self._processors.dedicated) or found.cpus,
            "numa_topology": topology.of_host(processors.nodes(), self._processors),
        }

    def update_provider_tree(self, provider_tree: Any, nodename: str, allocations: Any = None) -> None:
        """Write this host's inventory and trait into Placement's tree; what others put there stays."""
        with faults.translated(faults.failed):
            found = self._facts()
        present = provider_tree.data(nodename)
        reserved = {
            "PCPU": 0,
            "VCPU": CONF.reserved_host_cpus,
            "MEMORY_MB": CONF.reserved_host_memory_mb,
            "DISK_GB": self._get_reserved_host_disk_gb_from_config(),
        }
        ratios = self._get_allocation_ratios(present.inventory)
        provider_tree.update_inventory(
            nodename,
            resources.inventory(
                found, self._processors, ratios=ratios, reserved=reserved, present=present.inventory
            ),
        )
        traits = resources.traits(set(present.traits), flags=resources.processor_flags())
        provider_tree.update_traits(nodename, traits)

    def get_host_ip_addr(self) -> str:
        """Return the address other hosts move servers from."""
        return str(CONF.my_ip)

    def get_host_uptime(self) -> str:
        """Return the host's uptime in words."""
        return resources.uptime()

    def network_binding_host_id(self, context: Any, instance: Any) -> str:
        """Return the name of this machine's chassis or agent, to which ports are bound."""
        return self._settings.binding_host

    def manages_network_binding_host_id(self) -> bool:
        """Tell Nova not to bind ports to its own host name again, when that is another one."""
        return self._settings.binding_host != self._settings.host

    def _divided(self) -> processors.Processors:
        ours = processors.divide(
            online=processors.online(),
            dedicated=hardware.get_cpu_dedicated_set(),
            shared=hardware.get_cpu_shared_set(),
            reserved=CONF.reserved_host_cpus,
        )
        if ours.dedicated:
            context, settings = nova_context.get_admin_context(), self._settings
            for name, used in topology.neighbours(context, host=settings.binding_host, ours=settings.host):
                processors.check_apart(ours, neighbour=name, theirs=used)
        return ours

    # -- looking -----------------------------------------------------------------------------------

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

    # -- a server's life ---------------------------------------------------------------------------

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
            self._watcher.operation(instance.uuid, ends_running=False),
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
            self._watcher.operation(instance.uuid, ends_running=True),
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
                records.mend(context, instance, service=self._image_service)
            if hard and instance.vm_state != vm_states.RESCUED:
                self._rescue.leave(instance.uuid)  # where entering or leaving it was cut short
            if hard:
                self._moves.take_in(context, instance)
            if hard and not self._containers.complete(instance.uuid):
                self._servers.make(context, instance)
            self._servers.run(context, instance, network_info or (), events=self._events(instance))

    def set_admin_password(self, instance: Any, new_pass: str) -> None:
        """Change root's password; raises SetAdminPasswdNotSupported where the image has no such account."""
        with faults.translated(faults.failed):
            if not self._servers.set_password(instance, new_pass):
                raise exception.SetAdminPasswdNotSupported
        metadata.save_password(instance, new_pass)

    def pause(self, instance: Any) -> None:
        """Freeze a server's processes."""
        with faults.translated(faults.failed), self._watcher.operation(instance.uuid, ends_running=False):
            self._containers.pause(instance.uuid)

    def unpause(self, instance: Any) -> None:
        """Let a frozen server go on."""
        with faults.translated(faults.failed), self._watcher.operation(instance.uuid, ends_running=True):
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
        with faults.translated(faults.failed), self._watcher.operation(instance.uuid, ends_running=False):
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
            raise exception.InstanceNotRunning(instance_id=instance.uuid)

        def uploading() -> None:
            update_task_state(
                task_state=task_states.IMAGE_UPLOADING, expected_state=task_states.IMAGE_PENDING_UPLOAD
            )

        update_task_state(task_state=task_states.IMAGE_PENDING_UPLOAD)
        with faults.translated(faults.failed), self._watcher.operation(instance.uuid, ends_running=True):
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

    # -- moving ------------------------------------------------------------------------------------

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

    # -- what Nova keeps an eye on -------------------------------------------------------------------

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

    # -- ports -------------------------------------------------------------------------------------

    def plug_vifs(self, instance: Any, network_info: Any) -> None:
        """Plug a server's ports where they are not; those in use are not disturbed."""
        with faults.translated(faults.plug_failed):
            self._ports.plug(nova_context.get_admin_context(), instance, network_info or ())

    def unplug_vifs(self, instance: Any, network_info: Any) -> None:
        """Unplug a server's ports."""
        with faults.translated(exception.VirtualInterfaceUnplugException):
            self._network.disconnect(instance, network_info or ())

    def attach_interface(self, context: Any, instance: Any, image_meta: Any, vif: Any) -> None:
        """Give a server one more port, at once if it has a network namespace, else with its next start."""
        with faults.translated(faults.failed):
            self._ports.attach(context, instance, vif)
            self._ports.describe(context, instance)

    def detach_interface(self, context: Any, instance: Any, vif: Any) -> None:
        """Take a port away from a server; one that is gone already is fine."""
        with faults.translated(faults.failed):
            self._ports.detach(context, instance, vif)
            tags.forget(context, instance, vif["address"])

    def inject_network_info(self, instance: Any, nw_info: Any) -> None:
        """Follow a fixed IP added to or removed from a server through Nova."""
        self._ports.follow(nova_context.get_admin_context(), instance, nw_info)

    # -- the steps ---------------------------------------------------------------------------------

    def _events(self, instance: Any) -> EventWait:
        """Return Nova's wait for Neutron's events, ending as our error."""

        @contextmanager
        def waiting(wanted: list[tuple[str, str]]) -> Iterator[None]:
            try:
                with self.virtapi.wait_for_instance_event(
                    instance, wanted, timeout=self._settings.port_ready_timeout, error_callback=_event_failed
                ):
                    yield
            except exception.InstanceEventTimeout as error:
                if self._settings.plugging_is_fatal:
                    raise PortNotReady(
                        f"Neutron did not report the server's ports as working within "
                        f"{self._settings.port_ready_timeout} s.",
                        hint=f"Is the network agent on '{self._settings.binding_host}' running?",
                    ) from error
                LOG.warning(
                    "Going on although Neutron did not report the ports as working", instance=instance
                )

        def enter(wanted: list[tuple[str, str]]) -> AbstractContextManager[None]:
            return waiting(wanted)

        return enter

    def _stays(self, context: Any, instance: Any, dest: str) -> bool:
        """Say whether a server moves to this same host: by name, since two hosts may share an address."""
        moving = instance.migration_context
        if moving is None:
            return dest == self.get_host_ip_addr()
        found = objects.Migration.get_by_id(context.elevated(), moving.migration_id)
        return bool(found.dest_compute == self._settings.host)

    def _open_consoles(self) -> None:
        """Begin to listen for consoles; servers are worth running where that fails."""
        with faults.translated(faults.failed):
            for one in self._containers.workloads():
                if one.status == "running" and self._engine.end_shells(one.id, mark=MARK):
                    LOG.info("Ended the consoles that %s still had of a killed nova-compute", one.name)
        try:
            self._terminals.start()
        except NovaDockerError as error:
            LOG.warning("Servers have no interactive consoles: %s", error)

    def _used(self, instance: Any) -> tuple[usage.Usage, list[diagnostics.Traffic]]:
        return self._diagnostics.usage(instance.uuid), self._diagnostics.traffic(instance.uuid)

    def _emit(self, uuid: str, change: str) -> None:
        self.emit_event(virt_event.LifecycleEvent(uuid, _TRANSITIONS[change]))

    def _lost(self, instance: Any) -> bool:
        """Say whether a server of ours has no container: others, with the same folder, have their own."""
        return instance.host == self._settings.host and self._servers.lost(instance.uuid)

    def _ports_changed(self, context: Any, instance: Any, network_info: Any) -> None:
        """Follow what Neutron says of a server's ports, unless somebody works on it, who does that too."""
        if instance.host == self._settings.host and instance.task_state is None:
            self._ports.follow(context, instance, network_info)

    def _facts(self) -> facts.EngineFacts:
        if self._known_facts is None:
            self._known_facts = self._engine.facts()
        return self._known_facts


def _fetch(context: Any, image_id: str, data: Spool, *, trusted_certs: Any) -> None:
    glance.API().download(context, image_id, data=data, trusted_certs=trusted_certs)


def _event_failed(event_name: str, instance: Any) -> bool:
    raise PortNotReady(f"Neutron reported that {event_name} failed.")


def _settled(uuid: str) -> bool:
    """Say whether Nova's record of a server has taken note of its end, or is not waiting for it."""
    try:
        found = objects.Instance.get_by_uuid(nova_context.get_admin_context(), uuid, expected_attrs=[])
    except exception.InstanceNotFound:
        return True
    if found.host != CONF.host:
        return True
    # Not its power state: that is SHUTDOWN already when Nova looked at the end of a build, and yet the server
    # stays ACTIVE until an event or the ten-minute sync makes Nova stop it.
    unaware = {vm_states.BUILDING, vm_states.ACTIVE, vm_states.PAUSED}
    return found.task_state is None and found.vm_state not in unaware
