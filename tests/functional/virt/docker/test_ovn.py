# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""Servers on a real OVN: a process starts when ovn-controller has made its ports work, and not before."""

import time
from collections.abc import Iterator

import pytest
from nova import exception
from tests.fakes import nova_objects
from tests.functional.virt.docker import daemons
from tests.functional.virt.docker.conftest import Bench, Machine, discard


@pytest.fixture
def ovn(machine: Machine) -> Iterator[daemons.Ovn]:
    daemons.require("ovn-northd", "ovn-controller", "ovn-nbctl")
    with daemons.ovn(machine.switch) as ovn:
        yield ovn


@pytest.fixture
def bench(machine: Machine, ovn: daemons.Ovn) -> Iterator[Bench]:
    bench = machine.driver(network_backend="ovn", port_ready_timeout=5)
    yield bench
    discard(bench)


def bound(ovn: daemons.Ovn) -> object:
    """Return a port that Neutron would have made in OVN."""
    port = nova_objects.port()
    ovn.nbctl(
        "--may-exist", "ls-add", "private", "--", "lsp-add", "private", port["id"], "--",
        "lsp-set-addresses", port["id"], f"{port['address']} 10.20.0.5",
        "--", "lsp-set-options", port["id"], "requested-chassis=chassis",
    )  # fmt: skip
    return port


def test_the_mark_is_waited_for_and_neutron_s_event_is_not(
    machine: Machine, ovn: daemons.Ovn, bench: Bench
) -> None:
    server, port = machine.server(["sleep", "99"]), bound(ovn)
    with ovn.controller():
        began = time.monotonic()
        bench.spawn(server, [port])
        assert time.monotonic() - began < 5
        assert bench.driver._switch.port(port["devname"]).installed
        assert bench.virtapi.awaited == []
        # A port that works already is not waited for again, though Neutron would send no event for it.
        bench.driver.reboot(nova_objects.CONTEXT, server, [port], "HARD")


def test_without_ovn_controller_the_build_ends_and_says_why(
    machine: Machine, ovn: daemons.Ovn, bench: Bench
) -> None:
    server, port = machine.server(["sleep", "99"]), bound(ovn)
    began = time.monotonic()
    with pytest.raises(
        exception.BuildAbortException, match=r"ovn-controller did not install port .* within 5 s"
    ):
        bench.spawn(server, [port])
    assert time.monotonic() - began < 10
    assert bench.driver.list_instances() == []
    bench.destroy(server, [port])
