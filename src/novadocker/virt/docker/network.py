# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""A server's network: its ports plugged and its interfaces brought in, ready before its process."""

import copy
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from oslo_concurrency import lockutils
from oslo_log import log as logging

from novadocker.virt.docker import names, vif
from novadocker.virt.docker.doors import Netlink, Plugging, SwitchDB
from novadocker.virt.docker.errors import LinkError, PortNotReady, SwitchUnreachable
from novadocker.virt.docker.interfaces import Interfaces
from novadocker.virt.docker.progress import Done, untold
from novadocker.virt.docker.vif import VifPlan

LOG = logging.getLogger(__name__)

Vif = Mapping[str, Any]
# Nova's wait for Neutron's events: entered before plugging, left when they have come.
EventWait = Callable[[list[tuple[str, str]]], AbstractContextManager[Any]]

# Seconds in which a port that is attached to a living server mostly works; it is there in any case.
_SOON = 5.0


class Network:
    """The ports of this host's servers.

    :param owner: the CONF.host written on what we plug; only that is ever unplugged.
    :param wait_for_mark: whether OVN marks a port as installed.
    :param must_be_ready: a port without its mark in time is an error, and not only told.
    """

    def __init__(
        self,
        *,
        netlink: Netlink,
        interfaces: Interfaces,
        switch: SwitchDB,
        plugging: Plugging,
        owner: str,
        wait_for_mark: bool,
        must_be_ready: bool,
        ready_timeout: float,
    ) -> None:
        self._netlink = netlink
        self._interfaces = interfaces
        self._switch = switch
        self._plugging = plugging
        self._owner = owner
        self._wait_for_mark = wait_for_mark
        self._must_be_ready = must_be_ready
        self._ready_timeout = ready_timeout

    def connect(
        self,
        context: Any,
        instance: Any,
        vifs: Iterable[Vif],
        *,
        namespace: str,
        events: EventWait | None,
        adjust: bool,
        done: Done = untold,
    ) -> None:
        """Give the network namespace all the server's interfaces, and wait until their ports work.

        :param events: None to connect without waiting.
        :param adjust: also give the interfaces that are inside already what their ports say now.
        :raises: PortNotReady, LinkError, SwitchUnreachable
        """
        vifs = list(vifs)
        plans = vif.plan(vifs)
        _refuse_unusable(plans)
        pending = [("network-vif-plugged", one["id"]) for one in vifs if one.get("active") is False]
        # Neutron's event is the slower sign where OVN leaves a mark, and may never come for a port plugged
        # again.
        by_mark = self._wait_for_mark and events is not None and self._marks_readable()
        waiting = events(pending) if events is not None and not by_mark and pending else nullcontext()
        if not plans:
            self._netlink.loopback(namespace=namespace)
        with waiting:
            with _alone(instance):
                present = self._interfaces.present(namespace=namespace)
                for one, plan in zip(vifs, plans, strict=True):
                    self._make_pair(instance, one, plan, keep=plan.mac in present, namespace=namespace)
                new = {plan.port_id for plan in plans if plan.mac not in present}
                # The kernel takes its time over addresses and routes, the switch over a port.
                with ThreadPoolExecutor(max_workers=1) as beside:
                    inside = beside.submit(
                        self._bring_in, context, plans, namespace, new, adjust and bool(present)
                    )
                    for one, plan in zip(vifs, plans, strict=True):
                        self._plug(instance, one, plan)
                    inside.result()
            done("plugged")
            if by_mark:
                self._await_marks(plans)
        # Not before the ports work. An address is given out again at once, and a neighbour that had spoken to
        # the one before would send to that one's hardware address for half a minute.
        if new or adjust:
            self._interfaces.announce(namespace=namespace)

    def plug(self, instance: Any, vifs: Iterable[Vif]) -> None:
        """Plug the ports of a server that has no namespace now; those plugged are not disturbed."""
        vifs = list(vifs)
        plans = vif.plan(vifs)
        _refuse_unusable(plans)
        with _alone(instance):
            for one, plan in zip(vifs, plans, strict=True):
                self._make_pair(instance, one, plan, keep=False, namespace=None)
                self._plug(instance, one, plan)

    def attach(self, context: Any, instance: Any, vifs: list[Vif], port_id: str, *, namespace: str) -> None:
        """Give a server that has a namespace one more interface, under the first free name.

        :param vifs: all the server's ports, the new one among them.
        """
        plans = vif.plan(vifs)
        with _alone(instance):
            present = self._interfaces.present(namespace=namespace)
            for one, plan in zip(vifs, plans, strict=True):
                if plan.port_id == port_id and plan.mac not in present:
                    _refuse_unusable([plan])
                    self._make_pair(instance, one, plan, keep=False, namespace=namespace)
                    self._plug(instance, one, plan)
                    self._interfaces.bring_in(context, plans, namespace=namespace, only={port_id})
                    self._interfaces.adjust(context, plans, namespace=namespace)
                    if self._wait_for_mark:
                        self._switch.wait_installed([plan.host_device], timeout=_SOON)
                    self._interfaces.announce(namespace=namespace)

    def adjust(self, context: Any, instance: Any, vifs: Iterable[Vif], *, namespace: str) -> None:
        """Give a server's interfaces the addresses and routes its ports have now.

        Of two ports detached at once, each caller still counts with the other: what is not inside, or no
        more, has no say in who comes first.
        """
        with _alone(instance):
            present = self._interfaces.present(namespace=namespace)
            plans = vif.plan(one for one in vifs if one["address"] in present)
            self._interfaces.adjust(context, plans, namespace=namespace)
            self._interfaces.announce(namespace=namespace)

    def disconnect(self, instance: Any, vifs: Iterable[Vif]) -> None:
        """Unplug a server's ports and remove their devices, each as far as it goes: a server must go away.

        A port marked by another nova-compute is left alone: its server has moved there.
        """
        for one in vifs:
            if one.get("devname"):
                with _alone(instance):
                    self._take_out(instance, one)

    def sweep(self, servers: Iterable[str]) -> None:
        """Take out our ports of servers that are no longer here, and what we left half plugged."""
        known = set(servers)
        for port in self._switch.owned(self._owner):
            if port.server not in known:
                LOG.info("Removing port %(id)s of a server that is gone", {"id": port.port_id})
                self._switch.remove(port.device)
                self._delete_pair(port.device)
        for device in self._netlink.owned(self._owner):
            # A server's own is marked in the switch, or its other end is inside.
            if not device.peer_here:
                continue
            left = self._switch.port(device.name)
            if left is None or (left.owner == "" and left.server not in known):
                LOG.info("Removing device %(name)s: it was never wholly plugged", {"name": device.name})
                self._switch.remove(device.name)
                self._delete_pair(device.name)

    def _take_out(self, instance: Any, one: Vif) -> None:
        try:
            port = self._switch.port(one["devname"])
            if port is not None and port.owner not in {"", self._owner}:
                told = {"id": one["id"], "host": port.owner}
                LOG.info("Port %(id)s is on %(host)s", told, instance=instance)
                return
            self._unplug(instance, one)
        except SwitchUnreachable as error:
            LOG.warning("Port %(id)s stays: %(why)s", {"id": one["id"], "why": error}, instance=instance)
        self._delete_pair(one["devname"])

    def _bring_in(
        self, context: Any, plans: Sequence[VifPlan], namespace: str, new: set[str], adjust: bool
    ) -> None:
        if adjust:
            self._interfaces.adjust(context, plans, namespace=namespace)
        if new:
            self._interfaces.bring_in(context, plans, namespace=namespace, only=new)

    def _make_pair(
        self, instance: Any, one: Vif, plan: VifPlan, *, keep: bool, namespace: str | None
    ) -> None:
        found = self._netlink.device(plan.host_device)
        if found is not None and not keep and (found.kind != "veth" or not found.peer_here):
            # A tap from an interrupted plug, or a pair whose other end is in a namespace that is going away.
            self._netlink.delete(plan.host_device)
            found = None
        if found is None:
            # Left of a device that has gone: Open vSwitch in user space goes on listening to that one, also
            # where another of its name comes at once; and a mark on it says nothing of the new one. os-vif
            # waits until vswitchd has let go of it: one that comes again before would be the same to it.
            if self._switch.port(plan.host_device) is not None:
                self._unplug(instance, one)
            self._netlink.add_pair(
                plan.host_device,
                plan.peer_device,
                mtu=plan.mtu,
                alias=names.device_alias(host=self._owner, port_id=plan.port_id),
                namespace=namespace,
            )

    def _plug(self, instance: Any, one: Vif, plan: VifPlan) -> None:
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
            if plan.host_device not in late:
                continue
            port = self._switch.port(plan.host_device)
            error = PortNotReady(
                f"ovn-controller did not install port {plan.port_id} within {self._ready_timeout:g} s.",
                facts=f"Open vSwitch says: {port.error}." if port and port.error else "",
                hint="Is ovn-controller running on this host and connected to the southbound database?",
            )
            if self._must_be_ready:
                raise error
            LOG.warning("Going on without a working port: %s", error)

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


def _alone(instance: Any) -> AbstractContextManager[Any]:
    """One at a time for a server: Neutron's news of a port come whenever they come."""
    return lockutils.lock(f"nova-docker-ports-{instance.uuid}")  # type: ignore[no-any-return]


def _refuse_unusable(plans: Iterable[VifPlan]) -> None:
    for plan in plans:
        if plan.vnic_type != "normal":
            raise PortNotReady(
                f"Port {plan.port_id} is of vnic_type {plan.vnic_type}; a container can only use 'normal'."
            )
        if not plan.bound:
            raise PortNotReady(f"Port {plan.port_id} is not bound to this host.")
