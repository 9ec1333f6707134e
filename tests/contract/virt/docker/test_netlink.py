# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""What every netlink does: the fake, and the kernel's in a namespace of its own."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from oslo_privsep import priv_context
from tests.fakes.network import FakeNetlink
from tests.functional.virt.docker import daemons

from novadocker import poll
from novadocker.virt.docker import privsep
from novadocker.virt.docker.doors import InterfaceConfig, Netlink
from novadocker.virt.docker.errors import LinkError
from novadocker.virt.docker.netns import KernelNetlink

CONFIG = InterfaceConfig(
    name="eth0",
    mac="fa:16:3e:00:00:05",
    mtu=1442,
    addresses=("10.20.0.5/24", "fd00::5/64"),
    routes=(
        ("0.0.0.0/0", "10.20.0.1", 0),
        ("::/0", "fd00::1", 0),
        ("169.254.169.254/32", "10.20.0.2", 0),
        ("10.8.0.0/16", "", 0),
    ),
    checksum_in_software=True,
)


class _Server:
    """A process in a network namespace of its own."""

    def __init__(self, process: subprocess.Popen) -> None:
        self.pid = process.pid
        self.namespace = f"/proc/{process.pid}/ns/net"

    def run(self, *words: str) -> str:
        """What a program says there."""
        command = ["nsenter", "-t", str(self.pid), "-n", *words]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout


@contextmanager
def _server() -> Iterator[_Server]:
    """One whose host is a network namespace without any interface."""
    daemons.require("unshare", "nsenter", "ip")
    with daemons.network_namespace():
        process = subprocess.Popen(["unshare", "--net", "sleep", "600"])
        try:
            await_namespace(process)
            yield _Server(process)
        finally:
            process.kill()
            process.wait()


def await_namespace(server: subprocess.Popen) -> None:
    """Wait until unshare has made the namespace."""
    own = Path("/proc/thread-self/ns/net").readlink()
    while Path(f"/proc/{server.pid}/ns/net").readlink() == own:
        assert server.poll() is None


@contextmanager
def privileged_daemon() -> Iterator[None]:
    """Do what is privileged in a process of its own, as for a nova-compute that is not root."""
    privsep.context.start(priv_context.Method.FORK)
    privsep.context.set_client_mode(True)
    try:
        yield
    finally:
        privsep.context.set_client_mode(False)
        privsep.context.stop()


REAL = [pytest.param(name, marks=pytest.mark.functional) for name in ("kernel", "kernel behind privsep")]


@pytest.fixture(params=["fake", *REAL])
def ground(request: pytest.FixtureRequest) -> Iterator[tuple[Netlink, str]]:
    if request.param == "fake":
        yield FakeNetlink(), "/proc/7/ns/net"
        return
    with _server() as server, privileged_daemon() if request.param != "kernel" else nullcontext():
        yield KernelNetlink(), server.namespace


def test_a_pair_is_made_seen_and_deleted(ground: tuple[Netlink, str]) -> None:
    netlink, _ = ground
    assert netlink.device("tap0") is None
    netlink.add_pair("tap0", "ndp0", mtu=1442, alias="nova-docker:host:port")
    found = netlink.device("tap0")
    assert (found.kind, found.alias, found.peer_here) == ("veth", "nova-docker:host:port", True)
    with pytest.raises(LinkError, match="tap0"):
        netlink.add_pair("tap0", "ndp0", mtu=1442, alias="")
    netlink.delete("tap0")
    netlink.delete("tap0")
    assert netlink.device("tap0") is None


def test_what_is_ours_is_found_by_its_alias(ground: tuple[Netlink, str]) -> None:
    netlink, namespace = ground
    for number, alias in enumerate(
        ("nova-docker:host:a", "nova-docker:host:b", "nova-docker:other:c", "", "x")
    ):
        netlink.add_pair(f"tap{number}", f"ndp{number}", mtu=1442, alias=alias)
    netlink.bring_in("ndp1", namespace=namespace, config=CONFIG)
    found = {one.name: one.peer_here for one in netlink.owned("host")}
    assert found == {"tap0": True, "tap1": False}


def test_an_interface_comes_in(ground: tuple[Netlink, str]) -> None:
    netlink, namespace = ground
    assert netlink.inside(namespace=namespace) == {}
    netlink.add_pair("tap0", "ndp0", mtu=1442, alias="")
    netlink.bring_in("ndp0", namespace=namespace, config=CONFIG)
    assert netlink.inside(namespace=namespace) == {"eth0": CONFIG.mac}
    assert netlink.device("tap0").peer_here is False
    with pytest.raises(LinkError, match="ndp0"):
        netlink.bring_in("ndp0", namespace=namespace, config=CONFIG)


def test_a_pair_s_other_end_is_made_where_it_is_wanted(ground: tuple[Netlink, str]) -> None:
    netlink, namespace = ground
    netlink.add_pair("tap0", "ndp0", mtu=1442, alias="", namespace=namespace)
    assert netlink.device("tap0").peer_here is False
    assert netlink.device("ndp0") is None
    # Not yet one of the server's: who finds it so, knows that it was not finished.
    assert CONFIG.mac not in netlink.inside(namespace=namespace).values()
    netlink.bring_in("ndp0", namespace=namespace, config=CONFIG)
    assert netlink.inside(namespace=namespace) == {"eth0": CONFIG.mac}
    with pytest.raises(LinkError, match="ndp0"):
        netlink.bring_in("ndp0", namespace=namespace, config=CONFIG)


def test_a_namespace_without_an_interface_has_a_loopback(ground: tuple[Netlink, str]) -> None:
    netlink, namespace = ground
    netlink.loopback(namespace=namespace)
    netlink.loopback(namespace=namespace)
    assert netlink.inside(namespace=namespace) == {}


def test_an_interface_is_adjusted(ground: tuple[Netlink, str]) -> None:
    netlink, namespace = ground
    with pytest.raises(LinkError, match="eth0"):
        netlink.adjust(namespace=namespace, config=CONFIG)
    netlink.add_pair("tap0", "ndp0", mtu=1442, alias="")
    netlink.bring_in("ndp0", namespace=namespace, config=CONFIG)
    netlink.adjust(namespace=namespace, config=CONFIG)
    netlink.adjust(namespace=namespace, config=replace(CONFIG, addresses=("10.20.0.6/24",), routes=()))
    assert netlink.inside(namespace=namespace) == {"eth0": CONFIG.mac}


def test_who_has_an_address_is_announced(ground: tuple[Netlink, str]) -> None:
    netlink, namespace = ground
    netlink.announce(namespace=namespace)
    netlink.add_pair("tap0", "ndp0", mtu=1442, alias="")
    netlink.bring_in("ndp0", namespace=namespace, config=CONFIG)
    netlink.announce(namespace=namespace)
    assert netlink.inside(namespace=namespace) == {"eth0": CONFIG.mac}


@pytest.mark.functional
def test_a_neighbour_hears_at_once_who_has_an_address_now() -> None:
    """It had spoken to another server of that address, and would go on for half a minute."""
    with _server() as server:
        netlink = KernelNetlink()
        netlink.add_pair("tap0", "ndp0", mtu=1442, alias="")
        netlink.bring_in("ndp0", namespace=server.namespace, config=CONFIG)
        _ip("addr", "add", "10.20.0.1/24", "dev", "tap0")
        _ip("neigh", "add", "10.20.0.5", "lladdr", "fa:16:3e:00:00:99", "nud", "reachable", "dev", "tap0")
        netlink.announce(namespace=server.namespace)
        poll.until(
            lambda: None if CONFIG.mac in (seen := _ip("neigh", "show", "10.20.0.5")) else seen,
            why="the neighbour knows",
            seconds=3,
        )


def _ip(*words: str) -> str:
    return subprocess.run(["ip", *words], check=True, capture_output=True, text=True).stdout


@pytest.mark.functional
def test_the_kernel_takes_and_gives_but_leaves_what_is_not_ours() -> None:
    with _server() as server:
        run = partial(server.run, "ip")

        netlink = KernelNetlink()
        netlink.add_pair("tap0", "ndp0", mtu=1442, alias="")
        # As Docker leaves it, and without an IPv6 address at first.
        off = "echo 1 > /proc/sys/net/ipv6/conf/all/disable_ipv6"
        subprocess.run(["nsenter", "-t", str(server.pid), "-n", "sh", "-c", off], check=True)
        first = replace(
            CONFIG,
            addresses=("10.20.0.5/24", "10.20.0.6/24"),
            routes=tuple(route for route in CONFIG.routes if route[0] != "::/0"),
        )
        netlink.bring_in("ndp0", namespace=server.namespace, config=first)
        run("address", "add", "10.20.0.99/24", "dev", "eth0")
        run("route", "add", "10.77.0.0/16", "via", "10.20.0.9")
        before = run("-o", "address", "show", "dev", "eth0"), run("route")
        netlink.adjust(namespace=server.namespace, config=first)
        assert (run("-o", "address", "show", "dev", "eth0"), run("route")) == before

        second = replace(
            CONFIG,
            mtu=1300,
            addresses=("10.20.0.6/24", "10.30.0.7/16", "fd00::5/64"),
            routes=(("0.0.0.0/0", "10.20.0.1", 100), ("::/0", "fd00::1", 0), ("fd07::/64", "fd00::9", 0)),
        )
        netlink.adjust(namespace=server.namespace, config=second)
        link = run("address", "show", "dev", "eth0")
        assert "10.20.0.5" not in link
        for text in ("mtu 1300", "10.20.0.6/24", "10.20.0.99/24", "10.30.0.7/16", "fd00::5/64"):
            assert text in link
        assert "::1/128" in run("address", "show", "dev", "lo")
        routes = [line.strip() for line in (run("route") + run("-6", "route")).splitlines()]
        assert [line for line in routes if line.startswith("default")] == [
            "default via 10.20.0.1 dev eth0 proto 110 metric 100 onlink",
            "default via fd00::1 dev eth0 proto 110 metric 1024 onlink pref medium",
        ]
        assert any(line.startswith("10.77.0.0/16 via 10.20.0.9") for line in routes)
        assert any(line.startswith("fd07::/64 via fd00::9") for line in routes)
        assert not any(line.startswith(("169.254.169.254", "10.8.0.0/16")) for line in routes)

        netlink.adjust(namespace=server.namespace, config=first)
        assert "fd00::5" not in run("address", "show", "dev", "eth0")


@pytest.mark.functional
def test_what_answers_leaves_where_it_was_asked() -> None:
    with _server() as server:
        run = partial(server.run, "ip")

        def way(destination: str, source: str) -> str:
            return run("route", "get", destination, "from", source).splitlines()[0]

        first = replace(CONFIG, own_answers=True)
        second = replace(
            first,
            name="eth1",
            mac="fa:16:3e:00:00:06",
            addresses=("10.30.0.5/24", "fd03::5/64"),
            routes=(("0.0.0.0/0", "10.30.0.1", 100), ("::/0", "fd03::1", 1124)),
        )
        netlink = KernelNetlink()
        for number, config in enumerate((first, second)):
            netlink.add_pair(f"tap{number}", f"ndp{number}", mtu=1442, alias="")
            netlink.bring_in(f"ndp{number}", namespace=server.namespace, config=config)
        netlink.adjust(namespace=server.namespace, config=first)
        assert "via 10.20.0.1 dev eth0" in way("192.0.2.1", "10.20.0.5")
        assert "via 10.30.0.1 dev eth1" in way("192.0.2.1", "10.30.0.5")
        assert "10.20.0.77 from 10.30.0.5 via 10.30.0.1 dev eth1" in way("10.20.0.77", "10.30.0.5")
        assert "10.30.0.77 from 10.30.0.5 dev eth1" in way("10.30.0.77", "10.30.0.5")
        assert "via fd03::1 dev eth1" in way("2001:db8::1", "fd03::5")
        assert "via 10.20.0.1 dev eth0" in run("route", "get", "192.0.2.1")

        # The first one leaves; the second is alone, and needs no rules.
        netlink.delete("tap0")
        netlink.adjust(namespace=server.namespace, config=replace(second, own_answers=False))
        assert "1000" not in run("rule") + run("-6", "rule")
        assert "table 1" not in run("route", "show", "table", "all")


@pytest.mark.functional
def test_the_kernel_has_all_of_it() -> None:
    daemons.require("ethtool")
    with _server() as server:
        look = server.run

        netlink = KernelNetlink()
        netlink.add_pair("tap0", "ndp0", mtu=1442, alias="")
        netlink.bring_in("ndp0", namespace=server.namespace, config=CONFIG)
        link = look("ip", "address", "show", "dev", "eth0")
        assert "mtu 1442" in link
        assert "link/ether fa:16:3e:00:00:05" in link
        assert "inet 10.20.0.5/24" in link
        assert "inet6 fd00::5/64 scope global nodad" in link
        assert "state UP" in link
        routes = look("ip", "route") + look("ip", "-6", "route")
        for route in (
            "default via 10.20.0.1 dev eth0",
            "default via fd00::1 dev eth0",
            "169.254.169.254 via 10.20.0.2 dev eth0",
            "10.8.0.0/16 dev eth0 proto 110 scope link",
        ):
            assert route in routes
        assert "tx-checksumming: off" in look("ethtool", "-k", "eth0")
        assert "UP" in look("ip", "-br", "link", "show", "lo")
        # The host has no address on the tenant's network, not even a link-local one.
        command = ["ip", "-6", "address", "show", "dev", "tap0"]
        host = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        assert "inet6" not in host


@pytest.mark.functional
def test_an_interface_without_an_ipv6_address_has_no_ipv6() -> None:
    with _server() as server:
        inside = partial(server.run, "ip", "-6", "address", "show", "dev", "eth0")

        netlink = KernelNetlink()
        netlink.add_pair("tap0", "ndp0", mtu=1442, alias="")
        config = replace(CONFIG, addresses=("10.20.0.5/24",), routes=(("0.0.0.0/0", "10.20.0.1", 0),))
        netlink.bring_in("ndp0", namespace=server.namespace, config=config)
        # Not one of the link's own, with which it would ask for routers.
        assert inside() == ""
        netlink.adjust(namespace=server.namespace, config=CONFIG)
        assert "fd00::5/64" in inside()
