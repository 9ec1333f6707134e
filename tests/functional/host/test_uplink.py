# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""Packets really go through a host with foreign rules, and stop when the way is closed."""

import ctypes
import os
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from tests.functional.host import grounds

from novadocker import run
from novadocker.host import uplink
from novadocker.host.config import HostConfig

CONFIG = HostConfig(name="ndk-ct", external_bridge="ndk-ct-ex", external_cidr="192.0.2.0/24")
_CLONE_NEWNET = 0x40000000


class Place:
    """A network namespace, known by a handle."""

    def __init__(self) -> None:
        with grounds.network_namespace():
            self.handle = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        self.path = f"/proc/{os.getpid()}/fd/{self.handle}"

    @contextmanager
    def entered(self) -> Iterator[None]:
        libc = ctypes.CDLL(None, use_errno=True)
        before = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        assert libc.setns(self.handle, _CLONE_NEWNET) == 0
        try:
            yield
        finally:
            libc.setns(before, _CLONE_NEWNET)
            os.close(before)


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True)


def _connect(host_name: str, place: Place, *, address: str, gateway: str, own: str) -> None:
    _ip("link", "add", host_name, "type", "veth", "peer", "name", "eth0")
    _ip("link", "set", "eth0", "netns", place.path)
    _ip("addr", "add", gateway, "dev", host_name)
    _ip("link", "set", host_name, "up")
    with place.entered():
        _ip("addr", "add", address, "dev", "eth0")
        _ip("link", "set", "eth0", "up")
        if own:
            _ip("route", "add", "default", "via", own)


class Network:
    """A host between its servers and the world, which knows no way back to them."""

    def __init__(self) -> None:
        self.servers, self.world = Place(), Place()
        _connect("ndk-ct-ex", self.servers, address="192.0.2.10/24", gateway="192.0.2.1/24", own="192.0.2.1")
        _connect("uplink", self.world, address="198.51.100.2/24", gateway="198.51.100.1/24", own="")
        with self.world.entered():
            self.listener = socket.create_server(("198.51.100.2", 80))
        self.listener.settimeout(2)
        uplink.FORWARDING.write_text("0\n")

    def seen_from(self) -> str | None:
        """The address under which a server's connection arrives; None if it does not."""
        with self.servers.entered():
            client = socket.socket()
        with client:
            client.settimeout(1)
            try:
                client.connect(("198.51.100.2", 80))
            except OSError:
                return None
            accepted, address = self.listener.accept()
            accepted.close()
            return address[0]


@pytest.fixture
def network():
    grounds.require("ip", "iptables", "iptables-save")
    with grounds.network_namespace():
        made = Network()
        try:
            yield made
        finally:
            made.listener.close()
            os.close(made.servers.handle)
            os.close(made.world.handle)


def _rules(program: str) -> list[str]:
    return [
        line.split("] ")[-1]
        for line in run.run([f"{program}-save"]).out.splitlines()
        if not line.startswith(("#", "COMMIT"))
    ]


def _foreign(program: str) -> None:
    """As dockerd, a VPN and another cloud have it."""
    for words in (
        ["-P", "FORWARD", "DROP"],
        ["-N", "THEIRS"],
        ["-A", "FORWARD", "-j", "THEIRS"],
        ["-A", "FORWARD", "-j", "DROP"],
        ["-A", "FORWARD", "-i", "x-ex", "-m", "comment", "--comment", "nova-docker:ndk-ct2", "-j", "ACCEPT"],
        ["-t", "nat", "-A", "POSTROUTING", "-s", "10.0.0.0/8", "-j", "MASQUERADE"],
    ):
        run.run([program, *words])


def test_the_way_is_opened_and_closed(network):
    assert network.seen_from() is None
    assert not uplink.is_open(CONFIG)
    assert uplink.open_way(CONFIG)
    assert uplink.is_open(CONFIG)
    assert network.seen_from() == "198.51.100.1"
    assert not uplink.open_way(CONFIG)
    assert uplink.close_way(CONFIG, forwarding_before="0")
    assert not uplink.is_open(CONFIG)
    assert uplink.FORWARDING.read_text() == "0\n"
    assert network.seen_from() is None
    assert not uplink.close_way(CONFIG, forwarding_before="0")


@pytest.mark.parametrize("program", ["iptables", "iptables-legacy"])
def test_foreign_rules_keep_nobody_out_and_stay(network, program):
    grounds.require(program)
    if run.run([program, "-S"], check=False).code != 0:
        pytest.skip(f"machine cannot: use {program}")
    _foreign(program)
    uplink.FORWARDING.write_text("1\n")
    before = _rules(program)
    assert network.seen_from() is None
    assert uplink.open_way(CONFIG)
    assert network.seen_from() == "198.51.100.1"
    assert uplink.close_way(CONFIG, forwarding_before="1")
    assert _rules(program) == before
    assert uplink.FORWARDING.read_text() == "1\n"
    assert network.seen_from() is None


def test_forwarding_that_others_switched_off_is_put_right(network):
    uplink.open_way(CONFIG)
    uplink.FORWARDING.write_text("0\n")
    assert not uplink.is_open(CONFIG)
    assert uplink.open_way(CONFIG)
    assert network.seen_from()


def test_rules_that_are_there_twice_all_go(network):
    before = _rules("iptables")
    uplink.open_way(CONFIG)
    for rule in uplink.rules(CONFIG):
        run.run(["iptables", "-t", rule.table, "-A", rule.chain, *rule.words])
    uplink.close_way(CONFIG, forwarding_before="0")
    assert [line for line in _rules("iptables") if CONFIG.name in line] == []
    assert set(before) <= set(_rules("iptables"))
