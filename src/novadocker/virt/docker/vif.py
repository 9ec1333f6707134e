# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""A server's ports, as Neutron described them to Nova, turned into what the kernel must be told (pure)."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_interface, ip_network
from typing import Any

from novadocker.virt.docker import names

METADATA = "169.254.169.254"


@dataclass(frozen=True, kw_only=True)
class Route:
    """A route: destination in CIDR form, the next hop, or none for a destination on the link.

    A metric of 0 is the kernel's own: 0 for IPv4, 1024 for IPv6.
    """

    destination: str
    gateway: str | None
    metric: int = 0


@dataclass(frozen=True, kw_only=True)
class VifPlan:
    """One interface of a server.

    :param host_device: the end that stays on the host, plugged into the bridge.
    :param peer_device: the other end's name until it is inside the container, where it becomes
        `guest_device`.
    :param checksum_in_software: the bridge forwards packets in a process, which completes no checksums.
    :param dhcp: the network has a DHCP port, which answers for names and leads to the metadata service.
    :param vnic_type: what Neutron calls the kind of the port; a container can use `normal` alone.
    """

    port_id: str
    network_id: str
    mac: str
    mtu: int
    host_device: str
    peer_device: str
    guest_device: str
    addresses: tuple[str, ...]
    routes: tuple[Route, ...]
    nameservers: tuple[str, ...]
    checksum_in_software: bool
    dhcp: bool
    vnic_type: str
    bound: bool


def plan(network_info: Iterable[Mapping[str, Any]]) -> tuple[VifPlan, ...]:
    """Return the plan of every port, in Nova's order: the first is eth0 and its gateway is preferred."""
    return tuple(one(vif, index=index) for index, vif in enumerate(network_info))


def one(vif: Mapping[str, Any], *, index: int) -> VifPlan:
    """Return the plan of one port as a server's interface number `index`."""
    network = vif["network"]
    subnets = network["subnets"]
    addresses, nameservers = [], []
    routes: dict[str, Route] = {}
    for subnet in subnets:
        length = _cidr(subnet).prefixlen
        addresses += [f"{ip['address']}/{length}" for ip in subnet["ips"]]
        for route in _routes(subnet, index=index):
            # One way to a destination: that of the port's first subnet.
            routes.setdefault(route.destination, route)
        nameservers += [server["address"] for server in subnet["dns"]]
    return VifPlan(
        port_id=vif["id"],
        network_id=network["id"],
        mac=vif["address"],
        mtu=int((network.get("meta") or {}).get("mtu") or 1500),
        host_device=vif["devname"],
        peer_device=names.peer_device(vif["id"]),
        guest_device=names.guest_device(index),
        addresses=tuple(addresses),
        routes=tuple(routes.values()),
        nameservers=tuple(dict.fromkeys(nameservers)),
        checksum_in_software=(vif["details"] or {}).get("datapath_type") == "netdev",
        dhcp=any((subnet.get("meta") or {}).get("enable_dhcp") for subnet in subnets),
        vnic_type=vif.get("vnic_type") or "normal",
        bound=vif["type"] not in {"unbound", "binding_failed", None},
    )


def metadata_route(plan: VifPlan, candidates: Iterable[str]) -> Route | None:
    """Return the route to the metadata service by the first candidate on one of the port's own subnets.

    None where Neutron's own routes have one. A DHCP client learns it as a classless route; a server whose
    addresses are set by us has to be told.
    """
    if any(route.destination == f"{METADATA}/32" for route in plan.routes):
        return None
    networks = [ip_interface(address).network for address in plan.addresses]
    for candidate in candidates:
        address = ip_interface(candidate).ip
        if any(address in network for network in networks if network.version == address.version):
            return Route(destination=f"{METADATA}/32", gateway=candidate)
    return None


def _routes(subnet: Mapping[str, Any], *, index: int) -> list[Route]:
    version = _cidr(subnet).version
    metric = 100 * index
    if version == 6 and metric:
        metric += 1024  # or the first interface's, which is the kernel's own, would come last
    routes = []
    for given in subnet["routes"]:
        hop = (given["gateway"] or {}).get("address")
        on_link = hop in {None, "0.0.0.0", "::"}
        routes.append(Route(destination=given["cidr"], gateway=None if on_link else hop, metric=metric))
    gateway = (subnet["gateway"] or {}).get("address")
    default = "::/0" if version == 6 else "0.0.0.0/0"
    # A default among the host routes stands in for the gateway, as for a DHCP client (RFC 3442).
    if gateway and default not in {route.destination for route in routes}:
        routes.append(Route(destination=default, gateway=gateway, metric=metric))
    return routes


def _cidr(subnet: Mapping[str, Any]) -> IPv4Network | IPv6Network:
    # Neutron keeps a subnet's CIDR as it was given, with bits of a host in it too.
    return ip_network(subnet["cidr"], strict=False)
