# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""The composer's one speaker of netlink: the external bridge's address, and interfaces left to remove."""

import socket
from collections.abc import Iterable
from typing import Any

from pyroute2 import IPRoute

from novadocker.errors import NovaDockerError
from novadocker.host.networks import Present


def present() -> Present:
    """The interfaces with their kinds, and the routes of the main table but for the default one."""
    with IPRoute() as netlink:
        found = netlink.get_links()
        names = {link["index"]: link.get_attr("IFLA_IFNAME") for link in found}
        kinds = {}
        for link in found:
            information = link.get_attr("IFLA_LINKINFO")
            kinds[link.get_attr("IFLA_IFNAME")] = (
                (information.get_attr("IFLA_INFO_KIND") or "") if information else ""
            )
        routes = [
            (f"{route.get_attr('RTA_DST')}/{route['dst_len']}", names.get(route.get_attr("RTA_OIF"), ""))
            for route in netlink.get_routes(family=socket.AF_INET, table=254)
            if route.get_attr("RTA_DST")
        ]
    return Present(kinds=kinds, routes=routes)


def give_address(name: str, *, address: str, prefix: int, mtu: int) -> bool:
    """Set the interface up with this IPv4 address and MTU (bytes); say whether anything changed.

    :raises NovaDockerError: if there is no such interface.
    """
    with IPRoute() as netlink:
        found_indexes = netlink.link_lookup(ifname=name)
        if not found_indexes:
            raise NovaDockerError(
                f"There is no interface {name} on this machine.",
                hint="The switch makes it: see vswitchd's log.",
            )
        index = found_indexes[0]
        link = netlink.get_links(index)[0]
        held = {found.get_attr("IFA_LOCAL") for found in netlink.get_addr(index=index, family=socket.AF_INET)}
        changed = False
        if link["state"] != "up" or link.get_attr("IFLA_MTU") != mtu:
            netlink.link("set", index=index, state="up", mtu=mtu)
            changed = True
        if address not in held:
            netlink.addr("add", index=index, address=address, prefixlen=prefix, family=socket.AF_INET)
            changed = True
        return changed


def rename(name: str, new: str) -> bool:
    """Give an interface, which has to be down, another name; say whether there is one of the first name."""
    with IPRoute() as netlink:
        found = netlink.link_lookup(ifname=name)
        if found:
            netlink.link("set", index=found[0], ifname=new)
        return bool(found)


def ours(names: Iterable[str], *, alias_prefix: str) -> list[str]:
    """The interfaces there are with these names, and those whose alias says that they are the cloud's."""
    with IPRoute() as netlink:
        return [str(link.get_attr("IFLA_IFNAME")) for link in _ours(netlink, names, alias_prefix)]


def remove(names: Iterable[str], *, alias_prefix: str) -> list[str]:
    """Remove the interfaces with these names, and those whose alias says that they are the cloud's."""
    removed = []
    with IPRoute() as netlink:
        for link in _ours(netlink, names, alias_prefix):
            name = link.get_attr("IFLA_IFNAME")
            # The other end of a pair may have taken this one with it.
            if netlink.link_lookup(ifname=name):
                netlink.link("del", index=link["index"])
                removed.append(name)
    return removed


def _ours(netlink: IPRoute, names: Iterable[str], alias_prefix: str) -> list[Any]:
    wanted = set(names)
    return [
        link
        for link in netlink.get_links()
        if link.get_attr("IFLA_IFNAME") in wanted
        or (link.get_attr("IFLA_IFALIAS") or "").startswith(alias_prefix)
    ]
