# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""What a server has of the network inside its namespace: interfaces as its ports' plans say, and names."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from novadocker.virt.docker import names, vif
from novadocker.virt.docker.doors import DhcpPort, InterfaceConfig, Netlink, NetworkService
from novadocker.virt.docker.resolving import Names
from novadocker.virt.docker.vif import Route, VifPlan


class Interfaces:
    """The interfaces of this host's servers, each seen from inside. `namespace` is the path of a server's."""

    def __init__(self, *, netlink: Netlink, service: NetworkService) -> None:
        self._netlink = netlink
        self._service = service

    def present(self, *, namespace: str) -> set[str]:
        """Return the MAC addresses of the interfaces inside."""
        return set(self._netlink.inside(namespace=namespace).values())

    def bring_in(self, context: Any, plans: Sequence[VifPlan], *, namespace: str, only: set[str]) -> None:
        """Bring in what is not inside yet of the ports named in `only`.

        :param plans: all the server's ports, since one depends on the others for its name and routes.
        """
        inside = self._netlink.inside(namespace=namespace)
        for plan, config in self._configured(context, plans):
            if plan.port_id in only and plan.mac not in inside.values():
                name = _free_name(plan.guest_device, taken=inside)
                self._netlink.bring_in(
                    plan.peer_device, namespace=namespace, config=replace(config, name=name)
                )
                inside[name] = plan.mac

    def adjust(self, context: Any, plans: Sequence[VifPlan], *, namespace: str) -> None:
        """Give the interfaces inside the addresses and routes their ports have now; they keep their names."""
        inside = {mac: name for name, mac in self._netlink.inside(namespace=namespace).items()}
        for plan, config in self._configured(context, plans):
            if plan.mac in inside:
                self._netlink.adjust(namespace=namespace, config=replace(config, name=inside[plan.mac]))

    def announce(self, *, namespace: str) -> None:
        """Tell the neighbours who has the addresses now: they may remember a server that had one before."""
        self._netlink.announce(namespace=namespace)

    def names(self, context: Any, plans: Iterable[VifPlan]) -> Names:
        """Return who answers a server's questions for names.

        Its subnets' name servers. Where they name none, the DHCP port: OVN answers for the network's own
        names whatever the server asked is called, and the DHCP agent of ML2/OVS has a resolver there.
        """
        plans = list(plans)
        found = next(
            (self._service.dhcp(context, plan.network_id) for plan in plans if plan.dhcp), DhcpPort()
        )
        servers = tuple(dict.fromkeys(server for plan in plans for server in plan.nameservers))
        return Names(servers=servers or found.addresses, domain=found.domain)

    def _configured(
        self, context: Any, plans: Iterable[VifPlan]
    ) -> Iterable[tuple[VifPlan, InterfaceConfig]]:
        plans, way_known = list(plans), False
        for plan in plans:
            routes = plan.routes
            if not way_known:  # through the first port that has a way; a second would be ambiguous
                extra = self._way_to_metadata(context, plan)
                routes = (*routes, extra) if extra else routes
                way_known = any(route.destination == f"{vif.METADATA}/32" for route in routes)
            yield (
                plan,
                InterfaceConfig(
                    name=plan.guest_device,
                    mac=plan.mac,
                    mtu=plan.mtu,
                    addresses=plan.addresses,
                    routes=tuple((route.destination, route.gateway or "", route.metric) for route in routes),
                    checksum_in_software=plan.checksum_in_software,
                    # An answer that left through the other port would be dropped there as spoofed.
                    own_answers=len(plans) > 1,
                ),
            )

    def _way_to_metadata(self, context: Any, plan: VifPlan) -> Route | None:
        if not plan.dhcp:
            return None
        return vif.metadata_route(plan, self._service.dhcp(context, plan.network_id).addresses)


def _free_name(wanted: str, *, taken: Iterable[str]) -> str:
    """Return the wanted interface name, or the first free one: after a detach the numbers have a gap."""
    taken = set(taken)
    if wanted not in taken:
        return wanted
    return next(name for name in map(names.guest_device, range(len(taken) + 1)) if name not in taken)
