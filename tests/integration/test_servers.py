# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""The first operations of a container server, through the REST API."""

import pytest
from tests.integration.cloud import CHASSIS, CONTAINERS, OneMachine


def test_a_container_is_booted_stopped_started_rebooted_and_deleted(machine: OneMachine) -> None:
    server = machine.boot(machine.page)
    assert machine.host_of(server) == CONTAINERS
    assert machine.workload(server).status == "running"

    machine._stop_server(server)
    assert machine.workload(server).status == "exited"
    machine._start_server(server)
    assert machine.workload(server).status == "running"
    machine._reboot_server(server)
    machine._reboot_server(server, hard=True)
    assert machine.workload(server).status == "running"

    machine._delete_server(server)
    assert machine.workload(server) is None
    assert not machine.switch.ports
    assert not machine.netlink.devices


def test_the_port_is_bound_to_the_chassis(machine: OneMachine) -> None:
    server = machine.boot(machine.page)
    port = machine.neutron.show_port(machine.neutron.port_1["id"])["port"]
    assert port["binding:host_id"] == CHASSIS
    assert machine.host_of(server) == CONTAINERS


def test_placement_holds_what_the_flavor_asks_for(machine: OneMachine) -> None:
    server = machine.boot(machine.page)
    provider = machine._get_provider_uuid_by_host(CONTAINERS)
    allocations = machine._get_allocations_by_server_uuid(server["id"])
    assert list(allocations) == [provider]
    assert allocations[provider]["resources"]["MEMORY_MB"] == server["flavor"]["ram"]
    assert "CUSTOM_HYPERVISOR_DOCKER" in machine._get_provider_traits(provider)


def test_a_process_that_ends_makes_the_server_shut_off(machine: OneMachine) -> None:
    server = machine.boot(machine.page)
    machine.engine.end(machine.workload(server).name, code=0)
    machine._wait_for_state_change(server, "SHUTOFF")


def test_what_the_process_wrote_is_the_console(machine: OneMachine) -> None:
    server = machine.boot(machine.page)
    machine.engine.write(machine.workload(server).name, b"listening on 80\n")
    answer = machine.api.post_server_action(server["id"], {"os-getConsoleOutput": {}})
    assert answer["output"] == "listening on 80\n"


def fault_of(machine: OneMachine, image: str) -> str:
    """Boot, expect ERROR, delete; return the fault, having seen that nothing is left."""
    server = machine.boot(image, expected_state="ERROR")
    message = machine.admin_api.get_server(server["id"])["fault"]["message"]
    machine._delete_server(server)
    assert not machine.engine.list(host=CONTAINERS, role="workload")
    assert not machine.engine.list(host=CONTAINERS, role="sandbox")
    assert not machine.switch.ports
    return str(message)


@pytest.mark.parametrize(
    ("command", "content", "words"),
    [
        pytest.param(["missing"], None, "missing", id="a command that is missing"),
        pytest.param(["exit", "3"], None, "exit code 3", id="a process that fails at once"),
        pytest.param(["serve"], b"not a tar", "docker save", id="an archive that is not an image"),
    ],
)
def test_the_fault_names_the_cause(
    machine: OneMachine, command: list[str], content: bytes | None, words: str
) -> None:
    image = machine.container_image(command, name="broken", content=content)
    assert words in fault_of(machine, image)


def test_a_chassis_without_its_controller_is_named(machine: OneMachine) -> None:
    machine.switch.installs = False
    machine.docker.driver._network._ready_timeout = 1
    assert "ovn-controller" in fault_of(machine, machine.page)
