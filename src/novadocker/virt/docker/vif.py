# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""A server's ports, as Neutron described them to Nova, turned into what the kernel must be told (pure)."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from ipaddress import ip_interface, ip_network
from typing import Any

from novadocker.virt.docker import names

METADATA = "169.254.169.254"


@dataclass(frozen=True, kw_only=True)
class Route:
    """A route: destination in CIDR form, the next hop, or none for a destination on the link."""

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
    :param metadata_via: a DHCP port may lead to the metadata service: the network to look for it on.
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
    metadata_via: str | None
    bound: bool


def plan(network_info: Iterable[Mapping[str, Any]]) -> tuple[VifPlan, ...]:
    """Return the plan of every port, in Nova's order: the first is eth0 and its gateway is preferred."""
    return tuple(one(vif, index=index) for index, vif in enumerate(network_info))


def one(vif: Mapping[str, Any], *, index: int) -> VifPlan:
    """Return the plan of one port as a server's interface number `index`."""
    network = vif["network"]
    subnets = network["subnets"]
    addresses, routes, nameservers = [], [], []
    for subnet in subnets:
        length = ip_network(subnet["cidr"]).prefixlen
        addresses += [f"{ip['address']}/{length}" for ip in subnet["ips"]]
        routes += _routes(subnet, metric=100 * index)
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
        routes=tuple(routes),
        nameservers=tuple(dict.fromkeys(nameservers)),
        checksum_in_software=(vif["details"] or {}).get("datapath_type") == "netdev",
        metadata_via=_metadata_network(subnets, routes, network["id"]),
        bound=vif["type"] not in {"unbound", "binding_failed", None},
    )


def metadata_route(plan: VifPlan, candidates: Iterable[str]) -> Route | None:
    """Return the route to the metadata service by the first candidate on one of the port's own subnets.

    A DHCP client learns it as a classless route; a server whose addresses are set by us has to be told.
    """
    networks = [ip_interface(address).network for address in plan.addresses]
    for candidate in candidates:
        address = ip_interface(candidate).ip
        if any(address in network for network in networks if network.version == address.version):
            return Route(destination=f"{METADATA}/32", gateway=candidate)
    return None


def resolv_conf(plans: Iterable[VifPlan], *, domain: str = "") -> str:
    """Return the server's /etc/resolv.conf: the subnets' name servers (resolvers read three)."""
    servers = list(dict.fromkeys(server for plan in plans for server in plan.nameservers))[:3]
    lines = [f"search {domain}"] if domain else []
    return "".join(f"{line}\n" for line in [*lines, *(f"nameserver {server}" for server in servers)])


def hosts(plans: Iterable[VifPlan], *, hostname: str) -> str:
    """Return the server's /etc/hosts."""
    lines = ["127.0.0.1\tlocalhost", "::1\tlocalhost ip6-localhost ip6-loopback"]
    addresses = [address.partition("/")[0] for plan in plans for address in plan.addresses]
    lines += [f"{address}\t{hostname}" for address in addresses or ["127.0.1.1"]]
    return "".join(f"{line}\n" for line in lines)


def _routes(subnet: Mapping[str, Any], *, metric: int) -> list[Route]:
    routes = []
    for given in subnet["routes"]:
        hop = (given["gateway"] or {}).get("address")
        on_link = hop in {None, "0.0.0.0", "::"}
        routes.append(Route(destination=given["cidr"], gateway=None if on_link else hop))
    gateway = (subnet["gateway"] or {}).get("address")
    default = "::/0" if ip_network(subnet["cidr"]).version == 6 else "0.0.0.0/0"
    # A default among the host routes stands in for the gateway, as for a DHCP client (RFC 3442).
    if gateway and default not in {route.destination for route in routes}:
        routes.append(Route(destination=default, gateway=gateway, metric=metric))
    return routes


def _metadata_network(
    subnets: Iterable[Mapping[str, Any]], routes: list[Route], network_id: str
) -> str | None:
    if f"{METADATA}/32" in {route.destination for route in routes}:
        return None
    dhcp = any((subnet.get("meta") or {}).get("enable_dhcp") for subnet in subnets)
    return network_id if dhcp else None
