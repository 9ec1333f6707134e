# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""One interface in the namespace this thread is in: its addresses and routes, made as they should be.

What is ours there carries our number, so that what a server's own root has added stays. (A kernel older than
5.18 keeps no number of an address: one that Neutron has taken away stays until the server is made anew.)
"""

from ipaddress import ip_interface
from pathlib import Path
from socket import AF_INET, AF_INET6, if_nametoindex
from typing import Any

from pyroute2 import IPRoute

# The protocol of addresses and routes, of no meaning to the kernel; nobody is registered with this one.
_OURS = 110

_IFA_F_NODAD = 0x02
_RTNH_F_ONLINK = 4
_MAIN_TABLE = 254
# The table of an interface's own routes is numbered after it, and the rules' priority is here too.
_OWN_TABLES = 1000
_SCOPE_LINK = 253
# The metric the kernel gives an IPv6 route without one.
_METRIC_IPV6 = 1024
_FAMILIES = (AF_INET, AF_INET6)
_DEFAULT = {AF_INET: "0.0.0.0/0", AF_INET6: "::/0"}

_Route = tuple[str, str, int]


def settle(config: dict[str, Any]) -> None:
    """Give the interface `config["name"]` what an InterfaceConfig says; what is right already stays."""
    name = config["name"]
    with IPRoute() as ip:
        (link,) = ip.get_links(if_nametoindex(name))
        index = link["index"]
        # Or the kernel takes a subnet's other addresses away with its first.
        sysctl(f"ipv4/conf/{name}/promote_secondaries", "1")
        # Off in the namespaces of older sandboxes, for which Docker did that, and on an interface that comes
        # in. Everything is static, so no router advertisement may add a second address or default route.
        sysctl("ipv6/conf/lo/disable_ipv6", "0")
        if any(":" in address for address in config["addresses"]):
            sysctl(f"ipv6/conf/{name}/accept_ra", "0")
            sysctl(f"ipv6/conf/{name}/autoconf", "0")
            sysctl(f"ipv6/conf/{name}/disable_ipv6", "0")
        if link.get_attr("IFLA_MTU") != config["mtu"] or link["state"] != "up":
            ip.link("set", index=index, mtu=config["mtu"], state="up")
        addresses = [ip_interface(address) for address in config["addresses"]]
        routes = [_normal(*route) for route in config["routes"]]
        _settle_addresses(ip, index, [address.compressed for address in addresses])
        _settle_routes(ip, index, routes, table=_MAIN_TABLE)
        # Packets from these addresses have routes of their own, if they have to: those of this interface.
        own = addresses if config["own_answers"] else []
        near = [_normal(address.network.compressed, "", 0) for address in own]
        _settle_routes(ip, index, [*dict.fromkeys(near), *routes] if own else [], table=_OWN_TABLES + index)
        _settle_rules(ip, index, [address.ip.compressed for address in own])


def announce() -> None:
    """Have the kernel say on every interface whose its addresses are: a gratuitous ARP, and IPv6's.

    It does on a change of the hardware address, to the same one, too (ip-sysctl: arp_notify, ndisc_notify).
    """
    with IPRoute() as ip:
        for link in ip.get_links():
            name = link.get_attr("IFLA_IFNAME")
            if name != "lo" and link["state"] == "up":
                sysctl(f"ipv4/conf/{name}/arp_notify", "1")
                sysctl(f"ipv6/conf/{name}/ndisc_notify", "1")
                ip.link("set", index=link["index"], address=link.get_attr("IFLA_ADDRESS"))


def sysctl(key: str, value: str) -> None:
    """Set a network option; a kernel without the protocol has nothing to set."""
    path = Path("/proc/sys/net") / key
    if path.exists():
        path.write_text(value)


def _settle_addresses(ip: Any, index: int, wanted: list[str]) -> None:
    for address, protocol in _addresses(ip, index).items():
        if protocol == _OURS and address not in wanted:
            host, _, length = address.partition("/")
            ip.addr("del", index=index, address=host, prefixlen=int(length))
    present = _addresses(ip, index)
    for address in wanted:
        if address not in present:
            host, _, length = address.partition("/")
            # Neutron sees to it that an address is unique; the kernel's own check would delay it by a second.
            flags = {"flags": _IFA_F_NODAD} if ":" in host else {}
            ip.addr("add", index=index, address=host, prefixlen=int(length), proto=_OURS, **flags)


def _addresses(ip: Any, index: int) -> dict[str, int]:
    found = {}
    for one in ip.get_addr(index=index):
        host = one.get_attr("IFA_LOCAL") or one.get_attr("IFA_ADDRESS")
        found[f"{host}/{one['prefixlen']}"] = one.get_attr("IFA_PROTO") or 0
    return found


def _settle_routes(ip: Any, index: int, wanted: list[_Route], *, table: int) -> None:
    present = _routes(ip, index, table)
    # First what is on the link, since next hops of the others may lie there.
    for route in sorted(wanted, key=lambda route: bool(route[1])):
        if route not in present:
            ip.route("replace", **_message(index, route, table))
    # Afterwards, so that no packet finds itself without a way, or on a wider one.
    for route in present:
        if route not in wanted:
            ip.route("del", **_message(index, route, table))


def _routes(ip: Any, index: int, table: int) -> list[_Route]:
    found = []
    for family in _FAMILIES:
        for one in ip.get_routes(family=family, table=table):
            if one["proto"] == _OURS and one.get_attr("RTA_OIF") == index:
                target = one.get_attr("RTA_DST")
                destination = f"{target}/{one['dst_len']}" if target else _DEFAULT[family]
                hop, metric = one.get_attr("RTA_GATEWAY"), one.get_attr("RTA_PRIORITY")
                found.append(_normal(destination, hop or "", metric or 0))
    return found


def _normal(destination: str, hop: str, metric: int) -> _Route:
    network = ip_interface(destination).network
    return network.compressed, hop, metric or (_METRIC_IPV6 if network.version == 6 else 0)


def _message(index: int, route: _Route, table: int) -> dict[str, Any]:
    destination, hop, metric = route
    family = AF_INET6 if ":" in destination else AF_INET
    message = {"dst": destination, "oif": index, "family": family, "proto": _OURS, "table": table}
    if destination == _DEFAULT[family]:
        message["dst"] = "default"
    if metric:
        message["priority"] = metric
    if hop:
        # On-link, because Neutron allows a gateway outside of its subnet.
        return {**message, "gateway": hop, "flags": _RTNH_F_ONLINK}
    return {**message, "scope": _SCOPE_LINK} if family == AF_INET else message


def _settle_rules(ip: Any, index: int, sources: list[str]) -> None:
    """Send packets from `sources` by the interface's own table; rules of interfaces that left go too."""
    here = {_OWN_TABLES + link["index"] for link in ip.get_links()}
    table, present = _OWN_TABLES + index, set()
    for family in _FAMILIES:
        for one in ip.get_rules(family=family):
            if one.get_attr("FRA_PROTOCOL") != _OURS:
                continue
            source, its_table = one.get_attr("FRA_SRC"), one.get_attr("FRA_TABLE")
            if its_table not in here or (its_table == table and source not in sources):
                ip.rule("del", **_rule(source, its_table))
            elif its_table == table:
                present.add(source)
    for source in sources:
        if source not in present:
            ip.rule("add", **_rule(source, table))


def _rule(source: str, table: int) -> dict[str, Any]:
    family, length = (AF_INET6, 128) if ":" in source else (AF_INET, 32)
    return {
        "family": family, "src": source, "src_len": length,
        "table": table, "priority": _OWN_TABLES, "protocol": _OURS,
    }  # fmt: skip
