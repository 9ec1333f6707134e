# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""What every netlink does: the fake, and the kernel's in a namespace of its own."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import pytest
from oslo_privsep import priv_context
from tests.fakes.network import FakeNetlink
from tests.functional.virt.docker import daemons

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


def _await_namespace(server: subprocess.Popen) -> None:
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
def ground(request: pytest.FixtureRequest) -> Iterator[tuple[Netlink, int]]:
    if request.param == "fake":
        yield FakeNetlink(), 7
        return
    daemons.require("unshare", "nsenter", "ip")
    with daemons.network_namespace():
        server = subprocess.Popen(["unshare", "--net", "sleep", "600"])
        _await_namespace(server)
        with privileged_daemon() if request.param != "kernel" else nullcontext():
            yield KernelNetlink(), server.pid
        server.kill()
        server.wait()


def test_a_pair_is_made_seen_and_deleted(ground: tuple[Netlink, int]) -> None:
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


def test_an_interface_comes_in(ground: tuple[Netlink, int]) -> None:
    netlink, pid = ground
    assert netlink.inside(pid=pid) == {}
    netlink.add_pair("tap0", "ndp0", mtu=1442, alias="")
    netlink.bring_in("ndp0", pid=pid, config=CONFIG)
    assert netlink.inside(pid=pid) == {"eth0": CONFIG.mac}
    assert netlink.device("tap0").peer_here is False
    with pytest.raises(LinkError, match="ndp0"):
        netlink.bring_in("ndp0", pid=pid, config=CONFIG)


@pytest.mark.functional
def test_the_kernel_has_all_of_it() -> None:
    daemons.require("unshare", "nsenter", "ip", "ethtool")
    with daemons.network_namespace():
        server = subprocess.Popen(["unshare", "--net", "sleep", "600"])
        _await_namespace(server)

        def look(*words: str) -> str:
            command = ["nsenter", "-t", str(server.pid), "-n", *words]
            return subprocess.run(command, check=True, capture_output=True, text=True).stdout

        try:
            netlink = KernelNetlink()
            netlink.add_pair("tap0", "ndp0", mtu=1442, alias="")
            netlink.bring_in("ndp0", pid=server.pid, config=CONFIG)
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
                "10.8.0.0/16 dev eth0 proto static scope link",
            ):
                assert route in routes
            assert "tx-checksumming: off" in look("ethtool", "-k", "eth0")
            assert "UP" in look("ip", "-br", "link", "show", "lo")
            # The host has no address on the tenant's network, not even a link-local one.
            command = ["ip", "-6", "address", "show", "dev", "tap0"]
            host = subprocess.run(command, check=True, capture_output=True, text=True).stdout
            assert "inet6" not in host
        finally:
            server.kill()
            server.wait()
