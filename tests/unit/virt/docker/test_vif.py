# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""A port as Neutron describes it, turned into addresses, routes and names."""

from types import SimpleNamespace

import pytest
from nova.network import model
from tests.fakes import nova_objects

from novadocker.virt.docker import resolving, vif
from novadocker.virt.docker.doors import DhcpPort
from novadocker.virt.docker.neutron import Neutron
from novadocker.virt.docker.resolving import Names


def routes_to(destination: str, plan: vif.VifPlan) -> list[tuple[str | None, int]]:
    return [(route.gateway, route.metric) for route in plan.routes if route.destination == destination]


def test_a_port_becomes_a_plan() -> None:
    [plan] = vif.plan([nova_objects.port(routes=(("10.8.0.0/16", "10.20.0.9"), ("10.9.0.0/16", "0.0.0.0")))])
    assert plan.addresses == ("10.20.0.5/24",)
    assert plan.routes == (
        vif.Route(destination="10.8.0.0/16", gateway="10.20.0.9"),
        vif.Route(destination="10.9.0.0/16", gateway=None),
        vif.Route(destination="0.0.0.0/0", gateway="10.20.0.1"),
    )
    assert (plan.mtu, plan.guest_device, plan.nameservers) == (1442, "eth0", ("10.20.0.2",))
    assert (plan.bound, plan.checksum_in_software) == (True, True)
    assert (plan.dhcp, plan.vnic_type) == (True, "normal")


def test_a_subnet_may_be_written_with_bits_of_a_host() -> None:
    assert vif.one(nova_objects.port(cidr="10.20.0.9/24"), index=0).addresses == ("10.20.0.5/24",)


def test_the_first_gateway_is_preferred_and_a_default_host_route_replaces_it() -> None:
    own = (("0.0.0.0/0", "10.20.0.7"),)
    plans = vif.plan([nova_objects.port(), nova_objects.port(), nova_objects.port(routes=own)])
    assert [routes_to("0.0.0.0/0", plan) for plan in plans] == [
        [("10.20.0.1", 0)],
        [("10.20.0.1", 100)],
        [("10.20.0.7", 200)],
    ]


def test_two_interfaces_with_the_same_host_route_do_not_take_it_from_each_other() -> None:
    same = (("10.8.0.0/16", "10.20.0.9"),)
    plans = vif.plan([nova_objects.port(routes=same), nova_objects.port(routes=same)])
    assert [routes_to("10.8.0.0/16", plan) for plan in plans] == [[("10.20.0.9", 0)], [("10.20.0.9", 100)]]


def test_a_port_on_several_subnets_has_one_default_for_each_family() -> None:
    port = nova_objects.port()
    second = nova_objects.port(address="10.30.0.5", cidr="10.30.0.0/16", gateway="10.30.0.1", dns=())
    third = nova_objects.port(address="fd00::5", cidr="fd00::/64", gateway="fd00::1", dns=("fd00::2",))
    port["network"]["subnets"] += [*second["network"]["subnets"], *third["network"]["subnets"]]
    plan = vif.one(port, index=0)
    assert plan.addresses == ("10.20.0.5/24", "10.30.0.5/16", "fd00::5/64")
    assert routes_to("0.0.0.0/0", plan) == [("10.20.0.1", 0)]
    assert routes_to("::/0", plan) == [("fd00::1", 0)]
    assert plan.nameservers == ("10.20.0.2", "fd00::2")


def test_several_addresses_of_a_subnet() -> None:
    port = nova_objects.port()
    port["network"]["subnets"][0]["ips"].append(model.FixedIP(address="10.20.0.6"))
    assert vif.one(port, index=0).addresses == ("10.20.0.5/24", "10.20.0.6/24")


def test_ipv6() -> None:
    ipv6 = {"address": "fd00::5", "cidr": "fd00::/64", "gateway": "fd00::1", "dns": ("fd00::2",)}
    first, second = vif.plan([nova_objects.port(**ipv6), nova_objects.port(**ipv6)])
    assert first.addresses == ("fd00::5/64",)
    assert first.routes == (vif.Route(destination="::/0", gateway="fd00::1"),)
    # After the first one's, whose metric is the kernel's own: 1024.
    assert routes_to("::/0", second) == [("fd00::1", 1124)]


@pytest.mark.parametrize("vif_type", ["unbound", "binding_failed"])
def test_an_unbound_port(vif_type: str) -> None:
    assert not vif.one(nova_objects.port(vif_type=vif_type), index=0).bound


def test_the_metadata_service_is_reached_over_the_port_s_own_subnet() -> None:
    plan = vif.one(nova_objects.port(), index=0)
    assert vif.metadata_route(plan, ["10.99.0.2", "fd00::2", "10.20.0.2"]) == vif.Route(
        destination="169.254.169.254/32", gateway="10.20.0.2"
    )
    assert vif.metadata_route(plan, ["10.99.0.2"]) is None
    told = vif.one(nova_objects.port(routes=(("169.254.169.254/32", "10.20.0.3"),)), index=0)
    assert vif.metadata_route(told, ["10.20.0.2"]) is None


def test_who_answers_names() -> None:
    four = Names(servers=("1.1.1.1", "2.2.2.2", "3.3.3.3", "4.4.4.4"), domain="cloud.internal")
    assert resolving.resolv_conf(four) == (
        "search cloud.internal\nnameserver 1.1.1.1\nnameserver 2.2.2.2\nnameserver 3.3.3.3\n"
    )
    assert resolving.resolv_conf(Names()) == ""
    plans = vif.plan([nova_objects.port()])
    assert "10.20.0.5\tweb\n" in resolving.hosts(plans, hostname="web", domain="")
    assert "10.20.0.5\tweb.cloud web\n" in resolving.hosts(plans, hostname="web", domain="cloud")
    assert "127.0.1.1\tweb\n" in resolving.hosts([], hostname="web", domain="")


def test_a_burst_of_servers_asks_neutron_once() -> None:
    asked = []

    def list_ports(**query: object) -> dict[str, list[dict[str, object]]]:
        asked.append(query)
        named = [{"ip_address": "10.20.0.2", "fqdn": "host-10-20-0-2.cloud.internal."}]
        return {"ports": [{"fixed_ips": [{"ip_address": "10.20.0.2"}], "dns_assignment": named}]}

    service = Neutron(lambda context: SimpleNamespace(list_ports=list_ports))
    found = DhcpPort(addresses=("10.20.0.2",), domain="cloud.internal")
    assert [service.dhcp(None, "n") for _ in range(3)] == [found] * 3
    assert service.dhcp(None, "m") == found
    assert [query["network_id"] for query in asked] == ["n", "m"]


def test_a_neutron_without_names_has_no_domain() -> None:
    ports = {"ports": [{"fixed_ips": [{"ip_address": "10.20.0.2"}]}]}
    service = Neutron(lambda context: SimpleNamespace(list_ports=lambda **_: ports))
    assert service.dhcp(None, "n") == DhcpPort(addresses=("10.20.0.2",))
