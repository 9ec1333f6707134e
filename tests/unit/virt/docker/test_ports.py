# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""A server's ports while it lives: attached, detached, changed in Neutron; on fakes."""

import inspect
from types import SimpleNamespace
from typing import Any

import pytest
from nova import exception
from nova.compute import manager
from nova.network import model
from nova.network import neutron as nova_neutron
from tests.fakes import nova_objects
from tests.fakes.nova_objects import CONTEXT
from tests.unit.virt.docker.conftest import CONF, Bench, spawn

from novadocker.errors import NovaDockerError
from novadocker.virt.docker import changes
from novadocker.virt.docker.doors import InterfaceConfig

SECOND = {"address": "10.30.0.5", "cidr": "10.30.0.0/24", "gateway": "10.30.0.1", "mac": "fa:16:3e:00:00:06"}


def inside(bench: Bench) -> dict[str, InterfaceConfig]:
    (interfaces,) = bench.netlink.namespaces.values()
    return interfaces


def file(bench: Bench, server: Any, name: str) -> str:
    return (bench.folder / "instances" / server.uuid / name).read_text()


def default(config: InterfaceConfig) -> list[tuple[str, int]]:
    return [(hop, metric) for destination, hop, metric in config.routes if destination == "0.0.0.0/0"]


def metadata_ways(bench: Bench) -> list[str]:
    return [n for n, c in inside(bench).items() if any(r[0] == "169.254.169.254/32" for r in c.routes)]


def test_a_port_comes_and_the_first_one_goes(bench: Bench) -> None:
    server, first, second = bench.server(), nova_objects.port(), nova_objects.port(**SECOND)
    bench.service.metadata, bench.service.domain = ("10.20.0.2", "10.30.0.2"), "cloud.internal"
    made = bench.driver()
    spawn(made, server, [first])
    nova_objects.cached(server, first, second)
    made.attach_interface(CONTEXT, server, None, second)
    made.attach_interface(CONTEXT, server, None, second)
    assert sorted(inside(bench)) == ["eth0", "eth1"]
    assert default(inside(bench)["eth1"]) == [("10.30.0.1", 100)]
    assert metadata_ways(bench) == ["eth0"]
    assert "10.30.0.5\ttest1.cloud.internal test1" in file(bench, server, "hosts")
    assert file(bench, server, "resolv.conf") == "search cloud.internal\nnameserver 10.20.0.2\n"

    made.detach_interface(CONTEXT, server, first)
    assert list(inside(bench)) == ["eth1"]
    assert default(inside(bench)["eth1"]) == [("10.30.0.1", 0)], "it is the first one now"
    assert metadata_ways(bench) == ["eth1"]
    assert "10.20.0.5" not in file(bench, server, "hosts")

    nova_objects.cached(server, second, first)
    made.attach_interface(CONTEXT, server, None, first)
    assert sorted(inside(bench)) == ["eth0", "eth1"]
    assert default(inside(bench)["eth0"]) == [("10.20.0.1", 100)]


def test_a_server_without_a_namespace_gets_its_port_with_its_next_start(bench: Bench) -> None:
    server, first, second = bench.server(), nova_objects.port(), nova_objects.port(**SECOND)
    made = bench.driver()
    spawn(made, server, [first])
    made.power_off(server)
    bench.lose_network(server)
    bench.netlink.namespaces.clear()
    nova_objects.cached(server, first, second)
    made.attach_interface(CONTEXT, server, None, second)
    assert bench.netlink.namespaces == {}
    made.power_on(CONTEXT, server, [first, second])
    assert sorted(inside(bench)) == ["eth0", "eth1"]


def test_a_detach_succeeds_though_neutron_is_away(bench: Bench) -> None:
    server, first, second = bench.server(), nova_objects.port(), nova_objects.port(**SECOND)
    made = bench.driver()
    spawn(made, server, [first, second])
    bench.service.fails = True
    nova_objects.cached(server, first, second)
    made.detach_interface(CONTEXT, server, second)
    assert list(inside(bench)) == ["eth0"]


def test_two_ports_detached_at_once_leave_the_third_whole(bench: Bench) -> None:
    third = {**SECOND, "mac": "fa:16:3e:00:00:07", "address": "10.30.0.7"}
    server, ports = bench.server(), [nova_objects.port(), nova_objects.port(**SECOND)]
    stays = nova_objects.port(**third)
    bench.service.metadata = ("10.20.0.2", "10.30.0.2")
    made = bench.driver()
    spawn(made, server, [*ports, stays])
    nova_objects.cached(server, *ports, stays)  # what both callers have read before either was done
    for port in ports:
        made.detach_interface(CONTEXT, server, port)
    assert metadata_ways(bench) == list(inside(bench)) == ["eth2"]
    assert default(inside(bench)["eth2"]) == [("10.30.0.1", 0)]
    assert not inside(bench)["eth2"].own_answers


def test_a_reboot_gives_what_the_port_has_now(bench: Bench) -> None:
    server, port = bench.server(), nova_objects.port()
    made = bench.driver()
    spawn(made, server, [port])
    port["network"]["subnets"][0]["ips"].append(model.FixedIP(address="10.20.0.66"))
    made.reboot(CONTEXT, server, [port], "SOFT")
    assert inside(bench)["eth0"].addresses == ("10.20.0.5/24", "10.20.0.66/24")


def test_what_nova_remembers_at_its_start_changes_nothing_inside(bench: Bench) -> None:
    server, port = bench.server(), nova_objects.port()
    made = bench.driver()
    spawn(made, server, [port])
    before, bench.service.fails = dict(inside(bench)), True
    port["network"]["subnets"][0]["ips"].append(model.FixedIP(address="10.20.0.66"))
    made.plug_vifs(server, [port])
    assert inside(bench) == before


def changed(bench: Bench, server: Any, *ports: model.VIF, **how: Any) -> None:
    """Nova hears of a changed port, and asks Neutron, which answers with `ports`."""

    class Api:
        def get_instance_nw_info(self, context: Any, instance: Any, **kwargs: Any) -> Any:
            return model.NetworkInfo(ports)

    api = Api()
    bench.virtapi._compute = SimpleNamespace(network_api=api)
    CONF.set_override("binding_host", "host-docker", "docker")
    made = bench.driver()
    for _ in range(2):
        made.init_host("host-docker")
        made.cleanup_host("host-docker")
    assert api.get_instance_nw_info(CONTEXT, server, **how) == list(ports)


@pytest.mark.parametrize(
    ("how", "record", "heard"),
    [
        ({"refresh_vif_id": "port"}, {}, True),
        ({"force_refresh": True}, {}, True),
        ({}, {}, False),
        ({"refresh_vif_id": "port"}, {"task_state": "rebooting"}, False),
        ({"refresh_vif_id": "port"}, {"host": "elsewhere"}, False),
    ],
)
def test_a_running_server_follows_neutron(
    bench: Bench, how: dict[str, Any], record: dict[str, Any], heard: bool
) -> None:
    server, port = bench.server(), nova_objects.port()
    spawn(bench.driver(), server, [port])
    server.update(record)
    port["network"]["subnets"][0]["ips"].append(model.FixedIP(address="10.20.0.66"))
    changed(bench, server, port, **how)
    assert ("10.20.0.66/24" in inside(bench)["eth0"].addresses) is heard
    assert ("10.20.0.66\ttest1" in file(bench, server, "hosts")) is heard


def test_following_never_disturbs_nova(bench: Bench) -> None:
    server, port = bench.server(), nova_objects.port()
    spawn(bench.driver(), server, [port])
    bench.service.fails = True
    changed(bench, server, port, refresh_vif_id="port")
    bench.driver().destroy(CONTEXT, server, [port])
    changed(bench, server, port, refresh_vif_id="port")


def test_an_address_added_through_nova(bench: Bench) -> None:
    server, port = bench.server(), nova_objects.port()
    made = bench.driver()
    spawn(made, server, [port])
    port["network"]["subnets"][0]["ips"].append(model.FixedIP(address="10.20.0.66"))
    made.inject_network_info(server, [port])
    assert "10.20.0.66/24" in inside(bench)["eth0"].addresses


def test_nova_asks_as_we_listen() -> None:
    """The private knowledge: where the manager asks Neutron again, and with which words."""
    asked = nova_neutron.API.get_instance_nw_info
    assert list(inspect.signature(asked).parameters)[:3] == ["self", "context", "instance"]
    heard = inspect.getsource(manager.ComputeManager.external_instance_event)
    assert (
        "get_instance_nw_info(\n                        context, instance, refresh_vif_id=event.tag)" in heard
    )
    assert "force_refresh=True" in inspect.getsource(manager.ComputeManager._heal_instance_info_cache)
    with pytest.raises(NovaDockerError, match="get_instance_nw_info"):
        changes.listen(SimpleNamespace(), changed=lambda *_: None)


@pytest.mark.parametrize("fatal", [True, False])
def test_a_port_that_is_late_ends_the_build_unless_nova_says_otherwise(bench: Bench, fatal: bool) -> None:
    bench.switch.installs = False
    CONF.set_override("vif_plugging_is_fatal", fatal)
    server, made = bench.server(), bench.driver()
    try:
        if fatal:
            with pytest.raises(exception.BuildAbortException, match="did not install"):
                spawn(made, server, [nova_objects.port()])
        else:
            spawn(made, server, [nova_objects.port()])
        assert made.instance_exists(server) is not fatal
    finally:
        CONF.clear_override("vif_plugging_is_fatal")


def test_a_port_of_another_kind_is_refused_by_name(bench: Bench) -> None:
    with pytest.raises(exception.BuildAbortException, match="vnic_type direct; a container can only"):
        spawn(bench.driver(), bench.server(), [nova_objects.port(vnic_type="direct")])


def test_without_name_servers_the_dhcp_port_is_asked(bench: Bench) -> None:
    server = bench.server()
    spawn(bench.driver(), server, [nova_objects.port(dns=())])
    assert file(bench, server, "resolv.conf") == "nameserver 10.20.0.2\n"
