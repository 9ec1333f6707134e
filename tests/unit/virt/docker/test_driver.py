# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""The driver's promises to Nova, on fakes."""

import inspect
import threading
from types import SimpleNamespace
from typing import Any

import pytest
from nova import exception, objects
from nova.compute import power_state
from nova.compute import provider_tree as trees
from nova.network import model
from nova.network import neutron as nova_neutron
from nova.virt import driver as nova_driver
from nova.virt import event as virt_event
from tests.fakes import nova_objects
from tests.fakes.nova_objects import CONTEXT
from tests.unit.virt.docker.conftest import CONF, Bench, spawn

from novadocker.virt.docker import driver, names
from novadocker.virt.docker.adapter import base
from novadocker.virt.docker.capabilities import CAPABILITIES


def test_every_method_takes_what_nova_gives() -> None:
    for name, own in inspect.getmembers(driver.DockerDriver, inspect.isfunction):
        base = getattr(nova_driver.ComputeDriver, name, None)
        if name.startswith("_") or base is None or not callable(base):
            continue
        wanted = list(inspect.signature(base).parameters)
        assert list(inspect.signature(own).parameters)[: len(wanted)] == wanted, name


def test_capabilities_are_nova_s_own_names(bench: Bench) -> None:
    assert set(CAPABILITIES) <= set(nova_driver.ComputeDriver.capabilities)
    assert bench.driver().capabilities["supports_attach_interface"]
    assert not nova_driver.ComputeDriver.capabilities["supports_attach_interface"]


def test_the_network_comes_first(bench: Bench) -> None:
    server, port = bench.server(), nova_objects.port()
    made = bench.driver()
    spawn(made, server, [port])
    device = port["devname"]
    pair, *both, last = bench.netlink.steps
    assert (pair, last) == (f"pair {device}", "announce 10.20.0.5/24 on eth0")
    assert sorted(both) == ["bring in eth0", f"plug {device}"]  # beside each other
    assert made.get_info(server).state == power_state.RUNNING
    assert bench.switch.port(device).owner == "host-docker"
    assert bench.virtapi.awaited == []
    interface = next(iter(bench.netlink.namespaces.values()))["eth0"]
    assert ("169.254.169.254/32", "10.20.0.2", 0) in interface.routes
    assert interface.checksum_in_software


def test_a_port_goes_to_the_chassis_bridge_whatever_neutron_says(bench: Bench) -> None:
    bench.switch.bridge = "ndk-int"
    server, port = bench.server(), nova_objects.port(bridge="br-int")
    spawn(bench.driver(), server, [port])
    assert bench.plugging.bridges == {port["id"]: "ndk-int"}
    assert port["network"]["bridge"] == "br-int", "Nova's own is left as it is"


def test_it_waits_for_neutron_where_there_is_no_mark(bench: Bench) -> None:
    CONF.set_override("network_backend", "ovs", "docker")
    port = nova_objects.port()
    spawn(bench.driver(), bench.server(), [port])
    assert bench.virtapi.awaited == [("network-vif-plugged", port["id"])]


@pytest.mark.parametrize("outcome", ["timeout", "failed"])
def test_neutron_s_failure_ends_the_build(bench: Bench, outcome: str) -> None:
    CONF.set_override("network_backend", "ovs", "docker")
    bench.virtapi.outcome = outcome
    with pytest.raises(exception.BuildAbortException, match=r"Neutron (did not report|reported)"):
        spawn(bench.driver(), bench.server(), [nova_objects.port()])


def test_without_ovn_controller_the_fault_names_it_and_nothing_is_left(bench: Bench) -> None:
    bench.switch.installs = False
    server, port = bench.server(), nova_objects.port()
    made = bench.driver()
    with pytest.raises(exception.BuildAbortException, match="ovn-controller did not install port") as caught:
        spawn(made, server, [port])
    assert len(caught.value.format_message()) <= 255
    assert made.list_instance_uuids() == []
    assert (bench.switch.ports, bench.netlink.devices) == ({}, {})
    assert not (bench.folder / "instances" / server.uuid).exists()


@pytest.mark.parametrize(
    ("extra_specs", "words"),
    [
        ({"docker:pids": "lots"}, "'docker:pids' cannot be 'lots'"),
        ({"docker:privileged": "true"}, "'docker:privileged' is none that this host knows"),
    ],
)
def test_a_wrong_extra_spec_ends_the_build(bench: Bench, extra_specs: dict[str, str], words: str) -> None:
    made, server = bench.driver(), bench.server()
    server.flavor.extra_specs = extra_specs
    with pytest.raises(exception.BuildAbortException, match=words):
        spawn(made, server, [nova_objects.port()])
    assert (made.list_instance_uuids(), bench.fetched) == ([], [])


def test_what_an_owner_says_is_no_flavor_s_word(bench: Bench) -> None:
    made = bench.driver()
    server = bench.server(metadata={"docker:capabilities": "SYS_ADMIN", "docker:no_new_privileges": "false"})
    spawn(made, server, [], properties={"os_command_line": "runs docker:no_new_privileges=false"})
    made_of = bench.engine.specs[names.container(uuid=server.uuid, role=names.WORKLOAD)]
    assert made_of.no_new_privileges
    assert "SYS_ADMIN" not in made_of.cap_add


def refused_ports() -> Any:
    """Return Nova's list of ports, which fills itself in a thread, where Neutron has refused to bind one."""

    def allocate() -> None:
        raise exception.PortBindingFailed(port_id="port-1")

    return model.NetworkInfoAsyncWrapper(allocate)


@pytest.mark.parametrize(
    ("hostname", "agents", "words"),
    [
        ("another", [], "calls itself 'another', ports are bound to 'chassis'"),
        ("chassis", [], "Neutron knows no OVN chassis or agent on 'chassis'; is ovn-controller running?"),
        ("chassis", [{"agent_type": "OVN Neutron agent", "alive": True}], "no OVN chassis or agent"),
        ("chassis", [{"agent_type": "OVN Controller agent", "alive": False}], "agent on 'chassis' is down"),
        ("chassis", [{"agent_type": "OVN Controller agent", "alive": True}], "Neutron's log says why"),
    ],
)
def test_a_refused_binding_is_explained(bench: Bench, hostname: str, agents: list[Any], words: str) -> None:
    bench.switch.hostname, bench.service.known_agents = hostname, agents
    made = bench.driver()
    with pytest.raises(exception.BuildAbortException, match="Binding failed for port port-1") as caught:
        spawn(made, bench.server(), refused_ports())
    assert words in caught.value.format_message()
    assert made.list_instance_uuids() == []


def test_an_explanation_never_fails(bench: Bench) -> None:
    bench.service.fails = True
    with pytest.raises(exception.BuildAbortException, match="does not tell"):
        spawn(bench.driver(), bench.server(), refused_ports())
    bench.switch.reachable = False
    with pytest.raises(exception.BuildAbortException, match="Open vSwitch database"):
        spawn(bench.driver(), bench.server(), refused_ports())


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (["missing"], 'could not be started: exec: "missing": executable file not found'),
        (["exit", "3"], "ended with exit code 3. Its last line: last words"),
    ],
)
def test_a_process_that_fails_ends_the_build(bench: Bench, command: list[str], words: str) -> None:
    with pytest.raises(exception.BuildAbortException) as caught:
        spawn(bench.driver(), bench.server(command), [])
    assert words in caught.value.format_message()


def test_what_is_no_image_is_refused_with_a_sentence(bench: Bench) -> None:
    server = bench.server()
    bench.archives[server.image_ref] = b"QFI\xfb" + bytes(4096)
    with pytest.raises(exception.ImageUnacceptable, match="not a container image"):
        spawn(bench.driver(), server, [])
    with pytest.raises(exception.ImageUnacceptable, match="neither an ENTRYPOINT nor a CMD"):
        spawn(bench.driver(), bench.server([]), [])
    with pytest.raises(exception.ImageUnacceptable, match="cannot start from a volume"):
        spawn(bench.driver(), bench.server(image_ref=""), [])


def test_an_image_that_says_nothing_can_be_told_what_to_run(bench: Bench) -> None:
    server = bench.server([], system_metadata={"image_os_command_line": "runs 'two words'"})
    spawn(bench.driver(), server, [])
    assert bench.engine.specs[f"nova-{server.uuid}"].command == ("runs", "two words")


@pytest.mark.parametrize(
    "failure",
    [exception.ImageNotFound(image_id="i"), exception.GlanceConnectionFailed(server="g", reason="down")],
)
def test_an_image_that_cannot_be_fetched(bench: Bench, failure: Exception) -> None:
    def fetch(*_: Any, **__: Any) -> None:
        raise failure

    made = bench.driver()
    made._images._fetch = fetch
    with pytest.raises(exception.BuildAbortException, match="image cannot be fetched"):
        spawn(made, bench.server(), [])


def test_destroy_works_without_a_switch_and_twice(bench: Bench) -> None:
    server, port = bench.server(), nova_objects.port()
    made = bench.driver()
    spawn(made, server, [port])
    bench.switch.reachable = False
    made.destroy(CONTEXT, server, [port])
    assert bench.netlink.devices == {}
    made.destroy(CONTEXT, server, [port])
    assert not made.instance_exists(server)
    # What stayed in the switch goes when the service starts next.
    bench.switch.reachable = True
    again = bench.driver()
    again.init_host("host-docker")
    again.cleanup_host("host-docker")
    assert bench.switch.ports == {}


def test_destroy_tries_again_where_the_daemon_is_busy(bench: Bench) -> None:
    server = bench.server()
    made = bench.driver()
    spawn(made, server, [])
    bench.engine.busy_removals = 3
    made.destroy(CONTEXT, server, [])
    assert bench.engine.inspect(f"nova-{server.uuid}") is None


def test_a_moved_server_s_port_is_left_to_its_new_host(bench: Bench) -> None:
    server, port = bench.server(), nova_objects.port()
    made = bench.driver()
    spawn(made, server, [port])
    bench.switch.mark(port["devname"], owner="elsewhere")
    made.destroy(CONTEXT, server, [port])
    assert port["devname"] in bench.switch.ports
    assert port["devname"] in bench.netlink.devices


def test_a_port_whose_binding_has_failed_since_goes_too(bench: Bench) -> None:
    server, port = bench.server(), nova_objects.port()
    made = bench.driver()
    spawn(made, server, [port])
    port["type"] = "binding_failed"
    made.destroy(CONTEXT, server, [port])
    assert (bench.switch.ports, bench.netlink.devices) == ({}, {})


def test_a_failed_start_removes_nothing(bench: Bench) -> None:
    server, port = bench.server(), nova_objects.port()
    made = bench.driver()
    spawn(made, server, [port])
    made.power_off(server)
    bench.lose_network(server)
    bench.netlink.namespaces.clear()
    bench.switch.reachable = False
    with pytest.raises(exception.InstancePowerOnFailure, match="Open vSwitch"):
        made.power_on(CONTEXT, server, [port])
    assert made.instance_exists(server)


def test_only_our_own_servers_are_seen(bench: Bench) -> None:
    server = bench.server()
    spawn(bench.driver(), server, [])
    CONF.set_override("host", "another-docker")
    other = bench.driver()
    assert (other.list_instances(), other.list_instance_uuids(), other.get_num_instances()) == ([], [], 0)
    with pytest.raises(exception.InstanceNotFound):
        other.get_info(server)
    other.destroy(CONTEXT, server, [])
    assert bench.engine.inspect(f"nova-{server.uuid}") is not None


def test_plugging_what_is_plugged_says_nothing_to_the_neighbours(bench: Bench) -> None:
    """As nova-compute does for each server when it starts."""
    server, port = bench.server(), nova_objects.port()
    made = bench.driver()
    spawn(made, server, [port])
    bench.netlink.steps.clear()
    made.plug_vifs(server, [port])
    assert not [step for step in bench.netlink.steps if step.startswith("announce")]


def test_two_vifs_at_plug_of_a_server_that_is_down(bench: Bench) -> None:
    server, port = bench.server(), nova_objects.port()
    made = bench.driver()
    made.plug_vifs(server, [port])
    made.plug_vifs(server, [port])
    assert bench.netlink.steps.count(f"pair {port['devname']}") == 1
    with pytest.raises(exception.VirtualInterfacePlugException, match="not bound"):
        made.plug_vifs(server, [nova_objects.port(vif_type="binding_failed")])


def test_an_end_while_being_built_is_told_when_it_is_over(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = bench.driver()
    made._watcher._settled = lambda uuid: True
    made.init_host("host-docker")
    server = bench.server()
    wait = bench.engine.wait

    def ends_after_the_watch(container: str, *, timeout: float) -> int | None:
        code = wait(container, timeout=timeout)
        if container == f"nova-{server.uuid}":
            bench.engine.end(container, code=0)
        return code

    monkeypatch.setattr(bench.engine, "wait", ends_after_the_watch)
    spawn(made, server, [])
    assert bench.hears(server.uuid, virt_event.EVENT_LIFECYCLE_STOPPED)
    made.cleanup_host("host-docker")


def test_an_end_is_told_until_nova_has_noted_it(bench: Bench) -> None:
    made = bench.driver()
    answers = iter([False, False, True])
    enough = threading.Event()

    def settled(uuid: str) -> bool:
        answer = next(answers)
        if answer:
            enough.set()
        return answer

    made._watcher._settled = settled
    made.init_host("host-docker")
    server = bench.server()
    spawn(made, server, [])
    bench.engine.end(f"nova-{server.uuid}", code=1)
    assert enough.wait(10)
    assert bench.told.count((server.uuid, virt_event.EVENT_LIFECYCLE_STOPPED)) == 3
    made.cleanup_host("host-docker")


@pytest.mark.parametrize(
    ("vm_state", "task_state", "host", "noted"),
    [
        ("building", "spawning", "host-docker", False),
        ("active", "spawning", "host-docker", False),
        # As a build ends whose process has ended: ACTIVE, and its power state already SHUTDOWN.
        ("active", None, "host-docker", False),
        ("active", "powering-off", "host-docker", False),
        ("paused", None, "host-docker", False),
        ("stopped", None, "host-docker", True),
        ("error", None, "host-docker", True),
        ("active", None, "elsewhere", True),
    ],
)
def test_when_nova_has_noted_an_end(
    bench: Bench,
    monkeypatch: pytest.MonkeyPatch,
    vm_state: str,
    task_state: str | None,
    host: str,
    noted: bool,
) -> None:
    record = nova_objects.server(vm_state=vm_state, task_state=task_state, host=host, power_state=4)
    monkeypatch.setattr(objects.Instance, "get_by_uuid", lambda *_, **__: record)
    assert base._settled(record.uuid) is noted


def test_a_server_nova_has_deleted_needs_no_telling(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(*_: Any, **__: Any) -> None:
        raise exception.InstanceNotFound(instance_id="u")

    monkeypatch.setattr(objects.Instance, "get_by_uuid", gone)
    assert base._settled("u")


def test_what_happened_while_the_daemon_was_away_is_told(bench: Bench) -> None:
    made = bench.driver()
    made._watcher._settled = lambda uuid: True
    server = bench.server()
    spawn(made, server, [])
    made.init_host("host-docker")
    for _ in range(500):
        if made._watcher._states:
            break
        threading.Event().wait(0.01)
    bench.engine.cut()
    bench.engine.end(f"nova-{server.uuid}", code=1)
    assert bench.hears(server.uuid, virt_event.EVENT_LIFECYCLE_STOPPED)
    made.cleanup_host("host-docker")


def test_the_console_is_bytes_and_tells_the_end(bench: Bench) -> None:
    server = bench.server()
    made = bench.driver()
    spawn(made, server, [])
    bench.engine.write(f"nova-{server.uuid}", b"x" * 200_000 + "grün".encode())
    output = made.get_console_output(CONTEXT, server)
    assert len(output) == 100 * 1024
    assert output.endswith("grün".encode())
    bench.engine.end(f"nova-{server.uuid}", code=137, oom=True)
    assert made.get_console_output(CONTEXT, server).endswith(
        b"\n[nova-docker] the process was killed: it used more memory than its flavor has (exit code 137)\n"
    )
    made.destroy(CONTEXT, server, [])
    assert made.get_console_output(CONTEXT, server) == b""


def test_the_provider_keeps_what_others_put_there(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("novadocker.virt.docker.resources.disk_gb", lambda facts: (20, 15))
    CONF.set_override("reserved_host_cpus", 1)
    CONF.set_override("reserved_host_memory_mb", 1024)
    CONF.set_override("reserved_host_disk_mb", 5 * 1024)
    tree = trees.ProviderTree()
    tree.new_root("host-docker", "11111111-1111-1111-1111-111111111111")
    tree.update_inventory("host-docker", {"CUSTOM_FPGA": {"total": 2}})
    tree.update_traits("host-docker", ["CUSTOM_GOLD"])
    made = bench.driver()
    made.update_provider_tree(tree, "host-docker")
    data = tree.data("host-docker")
    processors = {trait for trait in data.traits if trait.startswith("HW_CPU_")}
    assert data.traits - processors == {"CUSTOM_GOLD", "CUSTOM_HYPERVISOR_DOCKER"}
    assert data.inventory["CUSTOM_FPGA"] == {"total": 2}
    assert data.inventory["VCPU"] == {
        "total": 2, "reserved": 1, "min_unit": 1, "max_unit": 2, "step_size": 1,
        "allocation_ratio": CONF.initial_cpu_allocation_ratio,
    }  # fmt: skip
    assert (data.inventory["MEMORY_MB"]["total"], data.inventory["MEMORY_MB"]["reserved"]) == (4096, 1024)
    assert (data.inventory["DISK_GB"]["total"], data.inventory["DISK_GB"]["reserved"]) == (20, 5)
    found = made.get_available_resource("host-docker")
    assert (found["hypervisor_type"], found["hypervisor_version"]) == ("docker", 20010024)
    assert (found["vcpus"], found["memory_mb"], found["local_gb"]) == (2, 4096, 20)
    assert found["supported_instances"] == [("x86_64", "docker", "exe")]
    assert found["hypervisor_hostname"] == made.get_available_nodes()[0] == "host-docker"
    for name in ("reserved_host_cpus", "reserved_host_memory_mb", "reserved_host_disk_mb"):
        CONF.clear_override(name)


def test_ports_are_bound_to_the_chassis_wherever_nova_binds_them(bench: Bench) -> None:
    bound: list[str] = []

    class Api(nova_neutron.API):
        def _update_port_binding_for_instance(
            self, context: Any, instance: Any, host: str, migration: Any = None, provider_mappings: Any = None
        ) -> None:
            bound.append(host)

    # The same arguments as the Nova installed here has, or this test must change with it.
    assert inspect.signature(Api._update_port_binding_for_instance).parameters.keys() == (
        inspect.signature(nova_neutron.API._update_port_binding_for_instance).parameters.keys()
    )
    api = Api()
    bench.virtapi._compute = SimpleNamespace(network_api=api)
    made = bench.driver()
    for _ in range(2):
        made.init_host("host-docker")
        made.cleanup_host("host-docker")
    api.setup_instance_network_on_host(CONTEXT, bench.server(), "host-docker")
    api.setup_instance_network_on_host(CONTEXT, bench.server(), "elsewhere", migration=None)
    assert bound == ["chassis", "elsewhere"]
    assert made.network_binding_host_id(CONTEXT, None) == "chassis"
    assert made.manages_network_binding_host_id()


def test_a_nova_without_that_method_is_refused(bench: Bench) -> None:
    bench.virtapi._compute = SimpleNamespace(network_api=SimpleNamespace())
    with pytest.raises(exception.NovaException, match="_update_port_binding_for_instance"):
        bench.driver().init_host("host-docker")


def test_without_a_daemon_the_service_does_not_start(bench: Bench) -> None:
    bench.engine.reachable = False
    with pytest.raises(exception.NovaException, match="no answer"):
        bench.driver().init_host("host-docker")


def test_without_a_switch_it_starts(bench: Bench) -> None:
    bench.switch.reachable = False
    made = bench.driver()
    made.init_host("host-docker")
    made.cleanup_host("host-docker")


def test_small_answers(bench: Bench) -> None:
    made = bench.driver()
    assert made.get_host_ip_addr() == CONF.my_ip
    assert made.poll_rebooting_instances(60, []) is None
    assert made.delete_instance_files(bench.server())
    with pytest.raises(exception.InstanceNotFound):
        made.power_on(CONTEXT, bench.server(), [])


def test_the_port_of_a_device_that_has_gone_is_made_anew(bench: Bench) -> None:
    server, port = bench.server(), nova_objects.port()
    made = bench.driver()
    spawn(made, server, [port])
    # The kernel removes the pair with the namespace of its other end.
    bench.lose_network(server)
    if not bench.kept:
        bench.engine.remove(names.container(uuid=server.uuid, role=names.SANDBOX))
    bench.netlink.delete(port["devname"])
    bench.switch.installs = False
    with pytest.raises(exception.NovaException, match="ovn-controller did not install"):
        made.reboot(CONTEXT, server, [port], "HARD")
    assert not bench.switch.port(port["devname"]).installed, "the old mark says nothing of the new device"


def test_a_process_is_watched_as_long_however_long_its_start_took(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a busy machine it takes as much longer to see its end."""
    watched: list[float] = []
    start, wait = bench.engine.start, bench.engine.wait

    def slow(container: str) -> None:
        threading.Event().wait(0.2)
        start(container)

    def noted(container: str, *, timeout: float) -> int | None:
        watched.append(timeout)
        return wait(container, timeout=timeout)

    monkeypatch.setattr(bench.engine, "start", slow)
    monkeypatch.setattr(bench.engine, "wait", noted)
    spawn(bench.driver(), bench.server(), [nova_objects.port()])
    assert watched == [CONF.docker.start_watch]
