# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""What all parts of the adapter stand on: the rooms, put together once, and the steps they share."""

import functools
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import nova.conf
from cryptography.exceptions import InvalidSignature
from nova import context as nova_context
from nova import exception, objects
from nova.compute import vm_states
from nova.image import glance
from nova.network import neutron as nova_neutron
from nova.virt import configdrive, driver
from nova.virt import event as virt_event
from oslo_log import log as logging

from novadocker import oci_runtime
from novadocker.virt.docker import (
    capabilities,
    conf,
    diagnostics,
    facts,
    metadata,
    processors,
    tags,
    topology,
)
from novadocker.virt.docker.btrfs import Subvolumes
from novadocker.virt.docker.containers import Containers
from novadocker.virt.docker.disks import Disks
from novadocker.virt.docker.doors import (
    DiskStore,
    Engine,
    FolderStore,
    ImageService,
    NamespaceStore,
    Netlink,
    NetworkService,
    Plugging,
    Spool,
    SwitchDB,
)
from novadocker.virt.docker.engine import DockerEngine
from novadocker.virt.docker.ephemeral import Ephemeral
from novadocker.virt.docker.errors import ImageRejected, PortNotReady
from novadocker.virt.docker.events import Watcher
from novadocker.virt.docker.gates import Gates
from novadocker.virt.docker.guest import Guest
from novadocker.virt.docker.identities import Identities
from novadocker.virt.docker.images import Images
from novadocker.virt.docker.interfaces import Interfaces
from novadocker.virt.docker.moves import Moves
from novadocker.virt.docker.namespaces import Namespaces
from novadocker.virt.docker.netns import KernelNetlink
from novadocker.virt.docker.network import EventWait, Network
from novadocker.virt.docker.neutron import Neutron
from novadocker.virt.docker.ovsdb import IdlSwitchDB
from novadocker.virt.docker.pins import KernelNamespaces
from novadocker.virt.docker.plugging import OsVif
from novadocker.virt.docker.ports import Ports
from novadocker.virt.docker.rescue import Rescue
from novadocker.virt.docker.servers import Servers
from novadocker.virt.docker.snapshots import Snapshots
from novadocker.virt.docker.terminals import Terminals
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


class Base(driver.ComputeDriver):  # type: ignore[misc]
    """What all parts of the adapter stand on: the rooms, put together once, and the steps they share."""

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
        namespaces: NamespaceStore | None = None,
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
        self._namespaces = namespaces or KernelNamespaces()
        self._containers = Containers(
            engine=self._engine,
            host=host,
            gates=Gates(self._settings.start_gates),
            namespaces=Namespaces(
                self._settings.namespaces,
                host=host,
                store=self._namespaces,
                identities=self._identities,
                usable=self._runtime_looks,
            ),
        )
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

    def _emit(self, uuid: str, change: str) -> None:
        self.emit_event(virt_event.LifecycleEvent(uuid, _TRANSITIONS[change]))

    def _lost(self, instance: Any) -> bool:
        """Say whether a server of ours has no container: others, with the same folder, have their own."""
        return instance.host == self._settings.host and self._servers.lost(instance.uuid)

    def _runtime_looks(self, folder: Path) -> bool:
        """Say whether dockerd's runtime looks for namespaces there: it was told at another time."""
        found = self._facts()
        if found.runtime != oci_runtime.NAME:
            return False
        try:
            return oci_runtime.looks_into(Path(found.runtime_path).read_text(), namespaces=str(folder))
        except OSError:
            return False

    def _identities(self) -> Identities | None:
        found = self._facts()
        return self._namespaces.identities(*found.root_owner) if found.user_namespaces else None

    def _facts(self) -> facts.EngineFacts:
        if self._known_facts is None:
            self._known_facts = self._engine.facts()
        return self._known_facts


def _fetch(context: Any, image_id: str, data: Spool, *, trusted_certs: Any) -> None:
    try:
        glance.API().download(context, image_id, data=data, trusted_certs=trusted_certs)
    except InvalidSignature as error:
        # Nova does not know it, and would try another host.
        raise ImageRejected("Its signature does not fit its content.") from error


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
