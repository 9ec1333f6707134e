# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""What every switch database does: the fake, and a real Open vSwitch."""

import threading
import time
from collections.abc import Callable, Iterator

import pytest
from tests.fakes.network import FakeSwitch
from tests.functional.virt.docker import daemons

from novadocker.virt.docker import names
from novadocker.virt.docker.doors import SwitchDB
from novadocker.virt.docker.errors import SwitchUnreachable
from novadocker.virt.docker.ovsdb import IdlSwitchDB


class Bench:
    def __init__(self, switch: SwitchDB, add: Callable[[str], None], install: Callable[[str], None]) -> None:
        self.switch, self.add, self.install = switch, add, install


@pytest.fixture(scope="module", params=["fake", pytest.param("ovs", marks=pytest.mark.functional)])
def bench(request: pytest.FixtureRequest) -> Iterator[Bench]:
    if request.param == "fake":
        fake = FakeSwitch(installs=False)

        def fake_add(device: str) -> None:
            fake.add(device, port_id=f"id-{device}", server="uuid")

        yield Bench(fake, fake_add, fake.install)
        return
    daemons.require("ovsdb-server", "ovs-vswitchd", "ovs-vsctl")
    with daemons.network_namespace(), daemons.switch() as address:
        daemons.vsctl(address, "set", "open_vswitch", ".", "external_ids:hostname=chassis")
        switch = IdlSwitchDB(address=address)

        def add(device: str) -> None:
            daemons.vsctl(
                address, "add-port", "ndk-test", device, "--", "set", "interface", device, "type=internal",
                f"external_ids:iface-id=id-{device}", "external_ids:vm-uuid=uuid",
            )  # fmt: skip

        def install(device: str) -> None:
            daemons.vsctl(address, "set", "interface", device, "external_ids:ovn-installed=true")

        yield Bench(switch, add, install)
        switch.close()


def eventually(check: Callable[[], bool]) -> bool:
    """The copy follows the database by a moment."""
    deadline = time.monotonic() + 5
    while not check() and time.monotonic() < deadline:
        time.sleep(0.02)
    return check()


def test_the_chassis_has_a_name(bench: Bench) -> None:
    assert bench.switch.chassis().hostname == "chassis"


def test_a_bridge_the_chassis_was_never_told_is_empty(bench: Bench) -> None:
    assert bench.switch.chassis().bridge == ""


def test_a_port_is_marked_found_and_removed(bench: Bench) -> None:
    assert bench.switch.port("tap1") is None
    bench.add("tap1")
    assert eventually(lambda: bench.switch.port("tap1") is not None)
    bench.switch.mark("tap1", owner="host-docker")
    found = bench.switch.port("tap1")
    assert (found.owner, found.port_id, found.server) == ("host-docker", "id-tap1", "uuid")
    assert [port.device for port in bench.switch.owned("host-docker")] == ["tap1"]
    assert bench.switch.owned("another") == []
    bench.switch.remove("tap1")
    bench.switch.remove("tap1")
    assert eventually(lambda: bench.switch.port("tap1") is None)


def test_waiting_ends_with_ovn_s_mark(bench: Bench) -> None:
    bench.add("tap2")
    threading.Timer(0.3, bench.install, ["tap2"]).start()
    began = time.monotonic()
    assert bench.switch.wait_installed(["tap2"], timeout=10) == []
    assert time.monotonic() - began < 5


def test_waiting_ends_with_the_time(bench: Bench) -> None:
    bench.add("tap3")
    assert bench.switch.wait_installed(["tap3", "tap9"], timeout=0.3) == ["tap3", "tap9"]


def test_a_mark_needs_a_port(bench: Bench) -> None:
    with pytest.raises(SwitchUnreachable):
        bench.switch.mark("tap8", owner="host-docker")


@pytest.mark.functional
def test_a_database_that_is_away_says_so_at_once_and_comes_back() -> None:
    daemons.require("ovsdb-server", "ovs-vswitchd", "ovs-vsctl")
    with pytest.raises(SwitchUnreachable, match="does not answer"):
        IdlSwitchDB(address="unix:/nowhere/db.sock").chassis()
    with daemons.network_namespace():
        with daemons.switch() as address:
            switch = IdlSwitchDB(address=address)
            assert switch.port("tap1") is None
        began = time.monotonic()
        assert eventually(lambda: _refuses(switch))
        assert time.monotonic() - began < 5
        switch.close()


def _refuses(switch: SwitchDB) -> bool:
    try:
        switch.mark("tap1", owner=names.OWNER_MARK)
    except SwitchUnreachable as error:
        return "does not answer" in str(error)
    return False
