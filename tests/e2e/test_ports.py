# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""A container with several ports: addresses of both families, routes, names, tags; ports that come and go."""

import contextlib
import ipaddress
from types import SimpleNamespace

import pytest
from tests.e2e import addresses
from tests.e2e.cloud import CONTAINER, WORDS, get, until
from tests.e2e.netspace import Inside

BACK, BACK6, STATEFUL, SECOND = "10.77.0.0/24", "fd77::/64", "fd78::/64", "10.78.0.0/24"
GONE = "10.200.0.0/16"


@pytest.fixture(scope="module")
def net(cloud):
    """The private network, one more with both families and a smaller MTU, and one of DHCPv6's."""
    network = cloud.connection.network
    router = network.find_router("router", ignore_missing=False)
    with contextlib.ExitStack() as undo:

        def made(name, *subnets, **options):
            one = network.create_network(name=name, **options)
            undo.callback(network.delete_network, one)
            for wanted in subnets:
                subnet = network.create_subnet(network_id=one.id, **wanted)
                network.add_interface_to_router(router, subnet=subnet.id)
                undo.callback(network.remove_interface_from_router, router, subnet=subnet.id)
            return one

        back = made(
            "e2e-back",
            {
                "ip_version": 4,
                "cidr": BACK,
                "dns_nameservers": ["10.77.0.53"],
                "host_routes": [{"destination": GONE, "nexthop": "10.77.0.99"}],
            },
            {"ip_version": 6, "cidr": BACK6, "ipv6_ra_mode": "slaac", "ipv6_address_mode": "slaac"},
            mtu=1280,
        )
        modes = {"ipv6_ra_mode": "dhcpv6-stateful", "ipv6_address_mode": "dhcpv6-stateful"}
        six = made("e2e-six", {"ip_version": 6, "cidr": STATEFUL, **modes})
        private = network.find_network("private", ignore_missing=False)
        group = network.create_security_group(name="e2e-ports")
        undo.callback(network.delete_security_group, group)
        for family in ("IPv4", "IPv6"):
            network.create_security_group_rule(
                security_group_id=group.id, direction="ingress", ether_type=family, protocol="tcp",
                port_range_min=80, port_range_max=80,
            )  # fmt: skip
        yield SimpleNamespace(private=private, back=back, six=six, group=group)


@pytest.fixture(scope="module")
def pair(cloud, images, net):
    """A server whose first port is its owner's own, and a peer; both on `private` and on `e2e-back`."""
    network = cloud.connection.network
    (address,) = addresses.unused(cloud, net.private.id)
    port = network.create_port(
        network_id=net.private.id, name="e2e-own", security_group_ids=[net.group.id],
        fixed_ips=[{"ip_address": address}],
    )  # fmt: skip
    both = [
        [{"port": port.id, "tag": "front"}, {"uuid": net.back.id, "tag": "back"}],
        [{"uuid": net.private.id}, {"uuid": net.back.id}],
    ]
    asked = [
        cloud.create(f"e2e-ports-{number}", images[CONTAINER], groups=("e2e-ports",), networks=networks)
        for number, networks in enumerate(both, start=1)
    ]
    settled = [cloud.settled(server) for server in asked]
    try:
        assert [server.status for server in settled] == ["ACTIVE"] * 2, settled
        one, peer = settled
        yield SimpleNamespace(one=one, peer=peer, port=port, address=address)
    finally:
        for server in settled:
            if cloud.connection.compute.find_server(server.id, ignore_missing=True):
                _delete(cloud, server.id)
        network.delete_port(port, ignore_missing=True)


@pytest.fixture
def one(cloud, pair):
    return Inside(cloud, pair.one.id)


@pytest.fixture
def peer(cloud, pair):
    return Inside(cloud, pair.peer.id)


def _port(cloud, server_id: str, network_id: str):
    (port,) = cloud.connection.network.ports(device_id=server_id, network_id=network_id)
    return port


def _addresses(port, *, family: int) -> list[str]:
    found = [ip["ip_address"] for ip in port.fixed_ips]
    return [address for address in found if ipaddress.ip_address(address).version == family]


def _delete(cloud, server_id: str) -> None:
    cloud.connection.compute.delete_server(server_id)
    until(
        lambda: cloud.connection.compute.find_server(server_id, ignore_missing=True) is None,
        seconds=60,
        why="gone",
    )


def _act(cloud, server_id: str, action: str, status: str) -> None:
    getattr(cloud.connection.compute, action)(server_id)
    cloud.becomes(server_id, status, seconds=90)


def test_interfaces_are_as_their_ports(cloud, net, pair, one):
    """Names by order, MAC, MTU, addresses, and the first one's gateway before the second's."""
    front, back = (_port(cloud, pair.one.id, network.id) for network in (net.private, net.back))
    assert one.devices() == {"eth0": front.mac_address, "eth1": back.mac_address}
    assert front.id == pair.port.id
    mtu = {link["ifname"]: link["mtu"] for link in one.ip("link")}
    assert (mtu["eth0"], mtu["eth1"]) == (cloud.connection.network.get_network(net.private).mtu, 1280)
    assert one.addresses("eth0") == [f"{pair.address}/24"]
    (address,) = _addresses(back, family=4)
    assert f"{address}/24" in one.addresses("eth1")
    routes = one.routes()
    assert ("default", "10.20.0.1", "eth0", 0) in routes
    assert ("default", "10.77.0.1", "eth1", 100) in routes
    assert (GONE, "10.77.0.99", "eth1", 100) in routes
    assert [dev for dst, _, dev, _ in routes if dst == "169.254.169.254"] == ["eth0"]


def test_each_port_answers_through_its_floating_ip(cloud, net, pair):
    network = cloud.connection.network
    public = network.find_network("public", ignore_missing=False)
    for tenant in (net.private, net.back):
        port = _port(cloud, pair.one.id, tenant.id)
        (fixed,) = _addresses(port, family=4)
        floating = network.create_ip(
            floating_network_id=public.id, port_id=port.id, fixed_ip_address=fixed
        ).floating_ip_address
        url = f"http://{floating}/"
        assert WORDS[CONTAINER] in until(lambda url=url: get(url), seconds=30, why=f"{tenant.name}'s page")
        network.delete_ip(network.find_ip(floating))


def test_ipv6_as_neutron_chose_it_and_once(cloud, net, pair, one, peer):
    back, other = (_port(cloud, server.id, net.back.id) for server in (pair.one, pair.peer))
    (mine,), (theirs,) = (_addresses(port, family=6) for port in (back, other))
    assert [address for address in one.addresses("eth1") if ":" in address] == [f"{mine}/64"]
    assert [address for address in one.addresses("eth0") if ":" in address] == []
    gateway = next(
        subnet.gateway_ip for subnet in cloud.connection.network.subnets(network_id=net.back.id, ip_version=6)
    )
    assert [route for route in one.ip("-6", "route") if route["dst"] == "default"] == [
        route for route in one.ip("-6", "route") if route.get("gateway") == gateway
    ]
    assert WORDS[CONTAINER] in one.get(theirs)
    assert WORDS[CONTAINER] in peer.get(mine)


def test_names_are_neutron_s(cloud, net, pair, one):
    domain = "novadocker.internal"
    # The first subnet's name servers come first; the second's own is there too.
    resolv = one.run("cat /etc/resolv.conf").splitlines()
    assert resolv[0] == f"search {domain}"
    assert "nameserver 10.77.0.53" in resolv
    hosts = one.run("cat /etc/hosts").splitlines()
    assert f"{pair.address}\t{pair.one.name}.{domain} {pair.one.name}" in hosts
    (address,) = _addresses(_port(cloud, pair.peer.id, net.private.id), family=4)
    assert address in one.run(f"nslookup {pair.peer.name}.{domain} 10.20.0.2")


def test_tags_are_in_the_metadata(pair, one):
    told = {device["mac"]: device["tags"] for device in one.metadata()["devices"]}
    devices = one.devices()
    assert told == {devices["eth0"]: ["front"], devices["eth1"]: ["back"]}


def test_an_address_added_to_a_running_server_is_there_at_once(cloud, net, pair, one, peer):
    network = cloud.connection.network
    port = _port(cloud, pair.one.id, net.back.id)
    before = list(port.fixed_ips)
    (second,) = addresses.unused(cloud, net.back.id)
    more = network.create_subnet(network_id=net.back.id, ip_version=4, cidr=SECOND, gateway_ip=None)
    try:
        wanted = [{"ip_address": second}, {"subnet_id": more.id, "ip_address": "10.78.0.5"}]
        network.update_port(port, fixed_ips=[*before, *wanted])
        until(
            lambda: {f"{second}/24", "10.78.0.5/24"} <= set(one.addresses("eth1")),
            seconds=20,
            why="the new addresses inside",
        )
        assert WORDS[CONTAINER] in until(lambda: peer.get(second), seconds=10, why="the new address")
        assert "10.78.0.5" in one.run("cat /etc/hosts")
        _act(cloud, pair.one.id, "stop_server", "SHUTOFF")
        _act(cloud, pair.one.id, "start_server", "ACTIVE")
        assert {f"{second}/24", "10.78.0.5/24"} <= set(one.addresses("eth1"))
    finally:
        network.update_port(port, fixed_ips=before)
        until(lambda: len(one.addresses("eth1")) == len(before), seconds=20, why="the addresses gone")
        network.delete_subnet(more)


def test_ports_come_and_go_in_every_state(cloud, net, pair, one, peer):
    """Attached by network, by port with a tag, and by address; and still there after each kind of restart."""
    compute, network = cloud.connection.compute, cloud.connection.network
    with contextlib.ExitStack() as undo:

        def attach(*words: str) -> None:
            api = ("--os-compute-api-version", "2.60")
            cloud.command("openstack", "--os-cloud", cloud.name, *api, "server", "add", *words)

        attach("network", pair.one.id, net.six.id)
        six = _port(cloud, pair.one.id, net.six.id)
        until(lambda: six.mac_address in one.devices().values(), seconds=20, why="the interface inside")
        assert one.devices()["eth2"] == six.mac_address
        network.update_port(six, security_groups=[net.group.id])  # the default one has no rule for IPv6
        (address,) = _addresses(six, family=6)
        assert one.addresses("eth2") == [f"{address}/64"]
        assert WORDS[CONTAINER] in until(lambda: peer.get(address), seconds=20, why="a page over DHCPv6's")

        (late,) = addresses.unused(cloud, net.back.id)
        own = network.create_port(
            network_id=net.back.id, name="e2e-late", fixed_ips=[{"ip_address": late}],
            security_group_ids=[net.group.id],
        )  # fmt: skip
        undo.callback(network.delete_port, own, ignore_missing=True)
        _act(cloud, pair.one.id, "stop_server", "SHUTOFF")
        attach("port", "--tag", "late", pair.one.id, own.id)
        _act(cloud, pair.one.id, "start_server", "ACTIVE")
        assert one.devices()["eth3"] == own.mac_address
        assert WORDS[CONTAINER] in until(lambda: peer.get(late), seconds=20, why="a page by the port")
        until(  # Nova's metadata service keeps what it knows of a server for 15 s
            lambda: ["late"] in [d["tags"] for d in one.metadata()["devices"] if d["mac"] == own.mac_address],
            seconds=40,
            why="the tag of the port",
        )

        _act(cloud, pair.one.id, "pause_server", "PAUSED")
        (chosen,) = addresses.unused(cloud, net.private.id)
        attach("fixed", "ip", "--fixed-ip-address", chosen, pair.one.id, net.private.id)
        _act(cloud, pair.one.id, "unpause_server", "ACTIVE")
        until(lambda: f"{chosen}/24" in one.addresses("eth4"), seconds=20, why="the address inside")
        compute.reboot_server(pair.one.id, "HARD")
        cloud.becomes(pair.one.id, "ACTIVE", seconds=90)
        assert sorted(one.devices()) == ["eth0", "eth1", "eth2", "eth3", "eth4"]
        assert WORDS[CONTAINER] in until(lambda: peer.get(chosen), seconds=30, why="a page by address")
        assert WORDS[CONTAINER] in peer.get(address)

        # The first one goes: the next has its part. Its owner's port stays, free for another server.
        compute.delete_server_interface(pair.port.id, server=pair.one.id)
        until(lambda: "eth0" not in one.devices(), seconds=20, why="the first interface gone")
        until(lambda: ("default", "10.77.0.1", "eth1", 0) in one.routes(), seconds=10, why="the next default")
        assert [dev for dst, _, dev, _ in one.routes() if dst == "169.254.169.254"] == ["eth1"]
        assert one.run("cat /etc/resolv.conf").splitlines()[1] == "nameserver 10.77.0.53"
        assert pair.address not in one.run("cat /etc/hosts")
        until(lambda: not network.get_port(pair.port).device_id, seconds=20, why="the port is free")
        assert network.get_port(pair.port).binding_vif_type == "unbound"

        for port in (own, six, _port(cloud, pair.one.id, net.private.id)):
            compute.delete_server_interface(port.id, server=pair.one.id)
        until(lambda: list(one.devices()) == ["eth1"], seconds=60, why="only one left")
        until(
            lambda: [dev for dst, _, dev, _ in one.routes() if dst == "169.254.169.254"] == ["eth1"],
            seconds=20,
            why="the way to the metadata service by it",
        )
        until(
            lambda: [device["tags"] for device in one.metadata()["devices"]] == [["back"]],
            seconds=40,
            why="the tags of what is left",
        )
        compute.create_server_interface(pair.one.id, port_id=pair.port.id)
        until(lambda: "eth0" in one.devices(), seconds=20, why="its first port is back")
        assert WORDS[CONTAINER] in until(lambda: peer.get(pair.address), seconds=20, why="its page")


def test_an_owner_s_port_outlives_the_server(cloud, net, pair):
    network = cloud.connection.network
    assert network.get_port(pair.port).device_id == pair.one.id
    _delete(cloud, pair.one.id)
    kept = network.get_port(pair.port)
    assert (kept.name, kept.device_id, kept.device_owner) == ("e2e-own", "", "")
    assert (kept.binding_vif_type, kept.binding_host_id) == ("unbound", "")
    assert [ip["ip_address"] for ip in kept.fixed_ips] == [pair.address]
    assert list(network.ports(device_id=pair.one.id)) == []


def test_a_port_for_hardware_is_refused(cloud, images, net):
    network = cloud.connection.network
    port = network.create_port(network_id=net.private.id, name="e2e-direct", binding_vnic_type="direct")
    server = cloud.settled(cloud.create("e2e-direct", images[CONTAINER], networks=[{"port": port.id}]))
    try:
        assert server.status == "ERROR"
        assert "No valid host" in server.fault["message"]
    finally:
        _delete(cloud, server.id)
        network.delete_port(port)
