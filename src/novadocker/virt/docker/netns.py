# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""The only speaker of netlink, with `addressing`: veth pairs on the host, and what goes into a namespace.

What needs privileges is a function of plain values under the privilege context; the class gives it types.
"""

import array
import fcntl
import os
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from functools import partial
from typing import Any, TypeVar

from pyroute2 import IPRoute, NetlinkError
from pyroute2 import netns as kernel_netns

from novadocker.virt.docker import addressing, names, privsep
from novadocker.virt.docker.doors import HostDevice, InterfaceConfig
from novadocker.virt.docker.errors import explained

T = TypeVar("T")

_explained = partial(explained, kinds=(NetlinkError, OSError, IndexError))

_SIOCETHTOOL = 0x8946
_ETHTOOL_STXCSUM = 0x17


class KernelNetlink:
    """The running kernel."""

    def add_pair(
        self, host_device: str, peer: str, *, mtu: int, alias: str, namespace: str | None = None
    ) -> None:
        """Make a veth pair, up on the host's side, without addresses of its own.

        :param namespace: where the peer is made; None for the host's.
        """
        _add_pair(host_device, peer, mtu, alias, namespace)

    def device(self, name: str) -> HostDevice | None:
        """Look at a device on the host; None when there is none."""
        found = _device(name)
        return HostDevice(**found) if found else None

    def owned(self, owner: str) -> list[HostDevice]:
        """Return the devices on the host whose alias names this owner."""
        found = [HostDevice(**one) for one in _devices()]
        return [one for one in found if names.alias_owner(one.alias) == owner]

    def delete(self, name: str) -> None:
        """Delete a device; one that is gone already is fine."""
        _delete(name)

    def join_bridge(self, name: str, *, bridge: str) -> None:
        """Put a device into a Linux bridge."""
        _join_bridge(name, bridge)

    def bring_in(self, peer: str, *, namespace: str, config: InterfaceConfig) -> None:
        """Give a device, moved there if it is on the host, its name, addresses and routes; and it is up."""
        _bring_in(peer, namespace, asdict(config))

    def adjust(self, *, namespace: str, config: InterfaceConfig) -> None:
        """Give an interface inside a namespace other addresses, routes and MTU; what is right stays."""
        _adjust(namespace, asdict(config))

    def inside(self, *, namespace: str) -> dict[str, str]:
        """Return the interfaces in a namespace but lo: their MAC addresses by name."""
        return dict(_inside(namespace))

    def loopback(self, *, namespace: str) -> None:
        """Let a namespace's own processes reach each other; `bring_in` does that, too."""
        _loopback(namespace)

    def announce(self, *, namespace: str) -> None:
        """Tell the neighbours of a namespace's interfaces whose the addresses on them are now."""
        _announce(namespace)


@privsep.privileged
def _add_pair(host_device: str, peer: str, mtu: int, alias: str, namespace: str | None) -> None:
    with _explained(f"make the pair {host_device} and {peer}"), IPRoute() as ip:
        other: dict[str, Any] = {"ifname": peer, "mtu": mtu}
        with _opened(namespace) as there:
            # Made there, it need not be moved: for a move, the kernel waits until nobody looks at a device.
            other |= {"net_ns_fd": there} if there is not None else {}
            ip.link("add", ifname=host_device, kind="veth", peer=other, mtu=mtu)
        # Asked of the kernel by name alone: what netlink says of a link takes milliseconds to take apart.
        index = socket.if_nametoindex(host_device)
        # The host must have no address on a tenant's network, nor ask there whether it may have one.
        addressing.sysctl(f"ipv6/conf/{host_device}/disable_ipv6", "1")
        ip.link("set", index=index, ifalias=alias, state="up")


@privsep.privileged
def _device(name: str) -> dict[str, Any] | None:
    with _explained(f"look at {name}"), IPRoute() as ip:
        found = ip.link_lookup(ifname=name)
        if not found:
            return None
        return _described(ip.get_links(found[0])[0])


@privsep.privileged
def _devices() -> list[dict[str, Any]]:
    with _explained("look at this host's devices"), IPRoute() as ip:
        return [_described(link) for link in ip.get_links() if link.get_attr("IFLA_IFALIAS")]


def _described(link: Any) -> dict[str, Any]:
    info = link.get_attr("IFLA_LINKINFO")
    return {
        "name": str(link.get_attr("IFLA_IFNAME")),
        "kind": (info.get_attr("IFLA_INFO_KIND") if info else None) or "",
        "alias": link.get_attr("IFLA_IFALIAS") or "",
        # The kernel names the peer's namespace only when it is another one.
        "peer_here": link.get_attr("IFLA_LINK_NETNSID") is None,
    }


@privsep.privileged
def _delete(name: str) -> None:
    with _explained(f"delete {name}"), IPRoute() as ip:
        for index in ip.link_lookup(ifname=name):
            try:
                ip.link("del", index=index)
            except NetlinkError as error:
                if error.code != 19:  # ENODEV: gone between looking and deleting
                    raise


@privsep.privileged
def _join_bridge(name: str, bridge: str) -> None:
    with _explained(f"put {name} into bridge {bridge}"), IPRoute() as ip:
        ip.link("set", index=socket.if_nametoindex(name), master=socket.if_nametoindex(bridge))


@privsep.privileged
def _bring_in(peer: str, namespace: str, config: dict[str, Any]) -> None:
    if index := _index(peer):
        with _explained(f"move {peer} into {namespace}"), IPRoute() as ip, _opened(namespace) as there:
            ip.link("set", index=index, net_ns_fd=there)
    with _explained(f"configure {peer} as {config['name']} in {namespace}"):
        _in_namespace(namespace, lambda: _configure(peer, config))


@privsep.privileged
def _adjust(namespace: str, config: dict[str, Any]) -> None:
    with _explained(f"configure {config['name']} in {namespace}"):
        _in_namespace(namespace, lambda: addressing.settle(config))


@privsep.privileged
def _inside(namespace: str) -> list[tuple[str, str]]:
    def look() -> list[tuple[str, str]]:
        with IPRoute() as ip:
            links = [
                (str(link.get_attr("IFLA_IFNAME")), str(link.get_attr("IFLA_ADDRESS")))
                for link in ip.get_links()
            ]
        return [(name, mac) for name, mac in links if name != "lo"]

    with _explained(f"look into {namespace}"):
        return _in_namespace(namespace, look)


@privsep.privileged
def _loopback(namespace: str) -> None:
    with _explained(f"set lo up in {namespace}"):
        _in_namespace(namespace, _wake)


@privsep.privileged
def _announce(namespace: str) -> None:
    with _explained(f"announce the addresses in {namespace}"):
        _in_namespace(namespace, addressing.announce)


def _wake() -> None:
    with IPRoute() as ip:
        ip.link("set", index=socket.if_nametoindex("lo"), state="up")


def _configure(peer: str, config: dict[str, Any]) -> None:
    name = config["name"]
    _wake()
    with IPRoute() as ip:
        ip.link("set", index=socket.if_nametoindex(peer), ifname=name, address=config["mac"])
    # Until it is given an IPv6 address: everything is static, and the kernel would make addresses and
    # default routes of what any router on the network says.
    addressing.sysctl(f"ipv6/conf/{name}/disable_ipv6", "1")
    addressing.settle(config)
    if config["checksum_in_software"]:
        _transmit_checksum_off(name)


def _transmit_checksum_off(name: str) -> None:
    # struct ethtool_value behind the pointer of a struct ifreq: what `ethtool -K name tx off` does.
    value = array.array("I", [_ETHTOOL_STXCSUM, 0])
    request = struct.pack("16sP16x", name.encode(), value.buffer_info()[0])
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        fcntl.ioctl(control, _SIOCETHTOOL, request)


def _in_namespace(namespace: str, work: Callable[[], T]) -> T:
    """Run `work` inside the namespace, in a thread: a thread's namespace is its own and ends with it."""
    result: list[T] = []
    problem: list[BaseException] = []

    def run() -> None:
        try:
            with _opened(namespace) as there:
                kernel_netns.setns(there, fork=False)
            result.append(work())
        except BaseException as error:  # noqa: BLE001 - raised again in the thread that asked
            problem.append(error)

    thread = threading.Thread(target=run, name=f"netns-{namespace}")
    thread.start()
    thread.join()
    if problem:
        raise problem[0]
    return result[0]


@contextmanager
def _opened(namespace: str | None) -> Iterator[int | None]:
    if namespace is None:
        yield None
        return
    opened = os.open(namespace, os.O_RDONLY | os.O_CLOEXEC)
    try:
        yield opened
    finally:
        os.close(opened)


def _index(device: str) -> int:
    """Return a device's number in this namespace; 0 where there is none."""
    try:
        return socket.if_nametoindex(device)
    except OSError:
        return 0
