# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""What a container's port lets through: its groups as they change, its own addresses alone, its bandwidth."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from types import SimpleNamespace

import pytest
from tests.e2e import addresses
from tests.e2e.backends import BOTH
from tests.e2e.cloud import CONTAINER, WORDS, until
from tests.e2e.netspace import Inside

MAC = "fa:16:3e:ff:00:01"


@pytest.fixture(scope="module")
def pair(cloud, images):
    """A server in a group that lets nothing in, and a peer in the default group; on one network."""
    network = cloud.connection.network
    group = network.create_security_group(name="e2e-guard")
    asked = [
        cloud.create("e2e-guarded", images[CONTAINER], groups=("e2e-guard",)),
        cloud.create("e2e-peer", images[CONTAINER]),
    ]
    settled = [cloud.settled(server) for server in asked]
    try:
        assert [server.status for server in settled] == ["ACTIVE"] * 2, settled
        found = [SimpleNamespace(id=server.id, inside=Inside(cloud, server.id)) for server in settled]
        for each in found:
            (port,) = network.ports(device_id=each.id)
            each.port, each.address = port, port.fixed_ips[0]["ip_address"]
        until(
            lambda: all("serving its page" in cloud.console(each.id) for each in found),
            seconds=30,
            why="both serving",
        )
        (foreign,) = addresses.unused(cloud, found[0].port.network_id)
        yield SimpleNamespace(guarded=found[0], peer=found[1], group=group, foreign=foreign)
    finally:
        for server in settled:
            cloud.remove(server.id)
        network.delete_security_group(group)


def _opened(cloud, group):
    return cloud.connection.network.create_security_group_rule(
        security_group_id=group.id, direction="ingress", ether_type="IPv4", protocol="tcp",
        port_range_min=80, port_range_max=80,
    )  # fmt: skip


def _open(pair, why: str) -> None:
    page = until(lambda: pair.peer.inside.get(pair.guarded.address), seconds=15, why=why)
    assert WORDS[CONTAINER] in page


def _closed(pair, why: str) -> None:
    until(lambda: not pair.peer.inside.get(pair.guarded.address), seconds=15, why=why)


@contextmanager
def _also(inside: Inside, address: str) -> Iterator[None]:
    """An address on its interface that is not its port's."""
    inside.ip("address", "add", f"{address}/24", "dev", "eth0")
    try:
        yield
    finally:
        inside.ip("address", "delete", f"{address}/24", "dev", "eth0")


@BOTH
def test_rules_and_groups_take_effect_on_a_running_server(cloud, pair):
    network, compute = cloud.connection.network, cloud.connection.compute
    _closed(pair, "closed by its group")
    rule = _opened(cloud, pair.group)
    _open(pair, "open by a new rule")
    held = pair.peer.inside.connect(pair.guarded.address)
    network.delete_security_group_rule(rule)
    _closed(pair, "closed without the rule")
    assert held.ask() != "200", "a connection that was open is closed too"

    second = network.create_security_group(name="e2e-guard-2")
    _opened(cloud, second)
    compute.add_security_group_to_server(pair.guarded.id, second)
    _open(pair, "open by a second group")
    compute.remove_security_group_from_server(pair.guarded.id, second)
    _closed(pair, "closed without the second group")
    network.delete_security_group(second)


@BOTH
def test_only_a_port_s_own_addresses_come_through(cloud, pair):
    """A foreign IP and a foreign MAC are dropped, until Neutron is told that they may be there."""
    network, guarded = cloud.connection.network, pair.guarded
    inside, peer, foreign = guarded.inside, pair.peer, pair.foreign
    with ExitStack() as stack:
        stack.callback(network.delete_security_group_rule, _opened(cloud, pair.group))
        _open(pair, "open for these checks")

        stack.enter_context(_also(inside, foreign))
        assert not inside.get(peer.address, source=foreign), "a spoofed address"
        assert not peer.inside.get(foreign), "asked for by somebody"
        network.update_port(guarded.port, allowed_address_pairs=[{"ip_address": foreign}])
        until(lambda: inside.get(peer.address, source=foreign), seconds=15, why="the allowed address asks")
        until(lambda: peer.inside.get(foreign), seconds=15, why="the allowed address answers")
        network.update_port(guarded.port, allowed_address_pairs=[])
        until(lambda: not inside.get(peer.address, source=foreign), seconds=15, why="no longer allowed")

        # The kernel may still be asking for the peer's MAC in the foreign one's name (arp_announce), in vain.
        until(lambda: inside.get(peer.address), seconds=15, why="its own address, still")
        inside.ip("link", "set", "eth0", "address", MAC)
        assert not inside.get(peer.address), "a spoofed MAC"
        inside.ip("link", "set", "eth0", "address", guarded.port.mac_address)
        until(lambda: inside.get(peer.address), seconds=15, why="its own MAC again")

    # What the tenant's process could do of it by itself: nothing.
    assert "not permitted" in inside.run_as_tenant(f"ip link set eth0 address {MAC}")


@BOTH
def test_without_port_security_everything_comes_through(cloud, pair):
    network, guarded = cloud.connection.network, pair.guarded
    ask = partial(guarded.inside.get, pair.peer.address, source=pair.foreign)
    with _also(guarded.inside, pair.foreign):
        network.update_port(guarded.port, security_groups=[], port_security_enabled=False)
        try:
            until(ask, seconds=15, why="a foreign address asks")
            _open(pair, "open without a group")
        finally:
            network.update_port(guarded.port, port_security_enabled=True, security_groups=[pair.group.id])
        until(lambda: not ask(), seconds=15, why="guarded again")


def test_a_bandwidth_limit_holds_in_both_directions(cloud, pair):
    """By meters, whose burst is a second's worth here: with less, TCP gets only a part of its limit."""
    network = cloud.connection.network
    rules = network.create_security_group_rule(
        security_group_id=pair.group.id, direction="ingress", ether_type="IPv4", protocol="tcp",
        port_range_min=5001, port_range_max=5001,
    )  # fmt: skip
    policy = network.create_qos_policy(name="e2e-slow")
    for direction, limit in (("egress", 8000), ("ingress", 4000)):
        network.create_qos_bandwidth_limit_rule(
            policy, max_kbps=limit, max_burst_kbps=limit, direction=direction
        )
    guarded, peer = pair.guarded, pair.peer
    remote = network.create_security_group_rule(
        security_group_id=peer.port.security_group_ids[0], direction="ingress", ether_type="IPv4",
        protocol="tcp", port_range_min=5001, port_range_max=5001, remote_group_id=pair.group.id,
    )  # fmt: skip
    try:
        free = until(
            lambda: peer.inside.receive(peer.address, source=guarded.inside, seconds=1),
            seconds=30,
            why="anything arrives",
        )
        assert free > 40_000, "or the limits would prove nothing"
        network.update_port(guarded.port, qos_policy_id=policy.id)
        until(
            lambda: peer.inside.receive(peer.address, source=guarded.inside, seconds=2) < 10_000,
            seconds=30,
            why="the limit outwards",
        )
        out = peer.inside.receive(peer.address, source=guarded.inside, seconds=4)
        into = guarded.inside.receive(guarded.address, source=peer.inside, seconds=4)
        print(f"without limit {free:.0f} kbit/s, out of 8000 {out:.0f}, in of 4000 {into:.0f}")
        # The first second's burst is in it.
        assert 1000 < out < 8000 * 1.4
        assert 500 < into < 4000 * 1.4
    finally:
        network.update_port(guarded.port, qos_policy_id=None)
        network.delete_qos_policy(policy)
        network.delete_security_group_rule(remote)
        network.delete_security_group_rule(rules)
