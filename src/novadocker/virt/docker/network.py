# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""A server's network: its ports plugged, its interfaces inside its namespace, ready before its process."""

import copy
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from typing import Any

from oslo_log import log as logging

from novadocker.virt.docker import names, vif
from novadocker.virt.docker.doors import InterfaceConfig, Netlink, NetworkService, Plugging, SwitchDB
from novadocker.virt.docker.errors import LinkError, PortNotReady, ServiceError, SwitchUnreachable
from novadocker.virt.docker.vif import VifPlan

LOG = logging.getLogger(__name__)

_SWITCHING_AGENTS = ("OVN Controller", "Open vSwitch agent")

Vif = Mapping[str, Any]
# Nova's wait for Neutron's events: entered before plugging, left when they have come.
EventWait = Callable[[list[tuple[str, str]]], AbstractContextManager[Any]]


class Network:
    """The ports of this host's servers.

    :param owner: the CONF.host written on what we plug; only that is ever unplugged.
    :param wait_for_mark: whether OVN marks a port as installed.
    """

    def __init__(
        self,
        *,
        netlink: Netlink,
        switch: SwitchDB,
        plugging: Plugging,
        service: NetworkService,
        owner: str,
        wait_for_mark: bool,
        ready_timeout: float,
    ) -> None:
        self._netlink = netlink
        self._switch = switch
        self._plugging = plugging
        self._service = service
        self._owner = owner
        self._wait_for_mark = wait_for_mark
        self._ready_timeout = ready_timeout

    def connect(
        self, context: Any, instance: Any, vifs: Iterable[Vif], *, pid: int, events: EventWait | None
    ) -> None:
        """Give the namespace of process `pid` all the server's interfaces, and wait until their ports work.

        What is connected already stays as it is.

        :param events: None to connect without waiting.
        :raises: PortNotReady, LinkError, SwitchUnreachable
        """
        vifs = list(vifs)
        plans = vif.plan(vifs)
        self._refuse_unbound(plans)
        pending = [("network-vif-plugged", one["id"]) for one in vifs if one.get("active") is False]
        # Neutron's event is the slower sign where OVN leaves a mark, and may never come for a port plugged
        # again.
        by_mark = self._wait_for_mark and events is not None and self._marks_readable()
        waiting = events(pending) if events is not None and not by_mark and pending else nullcontext()
        with waiting:
            inside = self._netlink.inside(pid=pid)
            for one, plan in zip(vifs, plans, strict=True):
                self._plug(instance, one, plan, keep=plan.mac in inside.values())
            for plan in plans:
                if plan.mac not in inside.values():
                    name = _free_name(plan.guest_device, taken=inside)
                    config = self._config(context, replace(plan, guest_device=name))
                    self._netlink.bring_in(plan.peer_device, pid=pid, config=config)
                    inside[name] = plan.mac
            if by_mark:
                self._await_marks(plans)

    def plug(self, instance: Any, vifs: Iterable[Vif]) -> None:
        """Plug the ports of a server that has no namespace now; those plugged are not disturbed."""
        vifs = list(vifs)
        plans = vif.plan(vifs)
        self._refuse_unbound(plans)
        for one, plan in zip(vifs, plans, strict=True):
            self._plug(instance, one, plan, keep=False)

    def attach(self, context: Any, instance: Any, one: Vif, *, pid: int) -> None:
        """Give a running server one more interface, under the first free name."""
        inside = self._netlink.inside(pid=pid)
        plan = vif.one(one, index=len(inside))
        self._refuse_unbound([plan])
        if plan.mac in inside.values():
            return
        self._plug(instance, one, plan, keep=False)
        plan = replace(plan, guest_device=_free_name(names.guest_device(0), taken=inside))
        self._netlink.bring_in(plan.peer_device, pid=pid, config=self._config(context, plan))

    def disconnect(self, instance: Any, vifs: Iterable[Vif]) -> None:
        """Unplug a server's ports and remove their devices, each as far as it goes: a server must go away.

        A port marked by another nova-compute is left alone: its server has moved there.
        """
        for one in vifs:
            device = one.get("devname")
            if not device:
                continue
            try:
                port = self._switch.port(device)
                if port is not None and port.owner not in {"", self._owner}:
                    LOG.info(
                        "Port %(id)s is on %(host)s", {"id": one["id"], "host": port.owner}, instance=instance
                    )
                    continue
                self._unplug(instance, one)
            except SwitchUnreachable as error:
                LOG.warning("Port %(id)s stays: %(why)s", {"id": one["id"], "why": error}, instance=instance)
            self._delete_pair(device)

    def sweep(self, servers: Iterable[str]) -> None:
        """Take out the ports we plugged for servers that are no longer here."""
        known = set(servers)
        for port in self._switch.owned(self._owner):
            if port.server not in known:
                LOG.info("Removing port %(id)s of a server that is gone", {"id": port.port_id})
                self._switch.remove(port.device)
                self._delete_pair(port.device)

    def explain_refusal(self, context: Any, *, host: str) -> str:
        """Say why Neutron may have refused to bind a port to a host, by what can be seen here and there."""
        try:
            chassis = self._switch.chassis().hostname
        except SwitchUnreachable as error:
            return str(error)
        if self._wait_for_mark and chassis != host:
            return f"This machine's OVN chassis calls itself '{chassis}', ports are bound to '{host}'."
        try:
            agents = self._service.agents(context, host)
        except ServiceError as error:
            return str(error)
        # Not the metadata or Neutron agent, which outlives the controller beside it.
        networking = [a for a in agents if a.get("agent_type", "").startswith(_SWITCHING_AGENTS)]
        if not networking:
            return f"Neutron knows no OVN chassis or agent on '{host}'; is ovn-controller running?"
        dead = [a["agent_type"] for a in networking if not a.get("alive")]
        return f"{dead[0]} on '{host}' is down." if dead else f"Neutron's log says why ('{host}' is alive)."

    def _refuse_unbound(self, plans: Iterable[VifPlan]) -> None:
        for plan in plans:
            if not plan.bound:
                raise PortNotReady(f"Port {plan.port_id} is not bound to this host.")

    def _plug(self, instance: Any, one: Vif, plan: VifPlan, *, keep: bool) -> None:
        found = self._netlink.device(plan.host_device)
        if found is not None and not keep and (found.kind != "veth" or not found.peer_here):
            # A tap from an interrupted plug, or a pair whose other end is in a namespace that is going away.
            self._netlink.delete(plan.host_device)
            found = None
        if found is None:
            self._netlink.add_pair(
                plan.host_device,
                plan.peer_device,
                mtu=plan.mtu,
                alias=names.device_alias(host=self._owner, port_id=plan.port_id),
            )
        bridge = self._plugging.plug(instance, self._on_chassis(one))
        if bridge is not None:
            self._netlink.join_bridge(plan.host_device, bridge=bridge)
        else:
            self._switch.mark(plan.host_device, owner=self._owner)

    def _unplug(self, instance: Any, one: Vif) -> None:
        try:
            self._plugging.unplug(instance, self._on_chassis(one))
        except PortNotReady as error:
            # os-vif failed, or cannot: a port whose binding has failed since has no type it knows.
            LOG.warning("Removing port %(id)s: %(why)s", {"id": one["id"], "why": error}, instance=instance)
            self._switch.remove(one["devname"])

    def _on_chassis(self, one: Vif) -> Vif:
        """Give the port with the bridge the chassis here has, if Neutron named another.

        ML2/OVN says `br-int` until it has noticed what its agent wrote about a chassis that is new or was
        removed (neutron/common/ovn/utils.py, get_ovn_bridge_from_chassis_private). os-vif would make that
        bridge, and the port would never be ready.
        """
        if not self._wait_for_mark or one.get("type") != "ovs":
            return one
        try:
            bridge = self._switch.chassis().bridge
        except SwitchUnreachable:
            return one  # plugging will say so
        named = one["network"]["bridge"]
        if bridge in ("", named):
            return one
        LOG.warning(
            "Port %(id)s goes to this chassis' bridge %(ours)s; Neutron said %(named)s",
            {"id": one["id"], "ours": bridge, "named": named},
        )
        placed = copy.deepcopy(one)
        placed["network"]["bridge"] = bridge
        return placed

    def _config(self, context: Any, plan: VifPlan) -> InterfaceConfig:
        routes = plan.routes
        if plan.metadata_via:
            extra = vif.metadata_route(plan, self._service.metadata_addresses(context, plan.metadata_via))
            # Only the first interface leads to the metadata service; a second way would be ambiguous.
            if extra is not None and plan.guest_device == names.guest_device(0):
                routes = (*routes, extra)
        return InterfaceConfig(
            name=plan.guest_device,
            mac=plan.mac,
            mtu=plan.mtu,
            addresses=plan.addresses,
            routes=tuple((route.destination, route.gateway or "", route.metric) for route in routes),
            checksum_in_software=plan.checksum_in_software,
        )

    def _marks_readable(self) -> bool:
        try:
            self._switch.chassis()
        except SwitchUnreachable as error:
            LOG.warning("Waiting for Neutron's events instead of OVN's marks: %s", error)
            return False
        return True

    def _await_marks(self, plans: Iterable[VifPlan]) -> None:
        plans = list(plans)
        late = self._switch.wait_installed([plan.host_device for plan in plans], timeout=self._ready_timeout)
        for plan in plans:
            if plan.host_device in late:
                port = self._switch.port(plan.host_device)
                raise PortNotReady(
                    f"ovn-controller did not install port {plan.port_id} within {self._ready_timeout:g} s.",
                    facts=f"Open vSwitch says: {port.error}." if port and port.error else "",
                    hint="Is ovn-controller running on this host and connected to the southbound database?",
                )

    def _delete_pair(self, device: str) -> None:
        try:
            found = self._netlink.device(device)
            if (
                found is not None
                and found.kind == "veth"
                and names.alias_owner(found.alias) in {None, self._owner}
            ):
                self._netlink.delete(device)
        except LinkError as error:
            LOG.warning("Device %(name)s stays: %(why)s", {"name": device, "why": error})


def _free_name(wanted: str, *, taken: Iterable[str]) -> str:
    """Return the wanted interface name, or the first free one: after a detach the numbers have a gap."""
    taken = set(taken)
    if wanted not in taken:
        return wanted
    return next(name for name in map(names.guest_device, range(len(taken) + 1)) if name not in taken)
