# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""Images find their hypervisor through the real scheduler, with no property set."""

from tests.integration.cloud import CONTAINERS, MACHINES, OneMachine


def test_each_image_goes_to_its_hypervisor(machine: OneMachine) -> None:
    for image, host in ((machine.page, CONTAINERS), (machine.disk, MACHINES)) * 2:
        server = machine.boot(image, networks="none")
        assert machine.host_of(server) == host
        machine._delete_server(server)


def test_nothing_goes_to_the_other_hypervisor_though_asked_for(machine: OneMachine) -> None:
    for image, host in ((machine.page, MACHINES), (machine.disk, CONTAINERS)):
        server = machine.boot(image, networks="none", host=host, expected_state="ERROR")
        assert "No valid host" in server["fault"]["message"]


def test_a_container_refuses_the_image_of_a_virtual_machine(machine: OneMachine) -> None:
    server = machine.boot(machine.page)
    before = machine.workload(server)
    refused = machine.rebuild(server, machine.disk, expected_state="ERROR")
    assert "No valid host" in refused["fault"]["message"]
    assert machine.workload(server) == before, "it runs on, untouched"
    assert refused["image"]["id"] == machine.page


def test_a_virtual_machine_refuses_the_image_of_a_container(machine: OneMachine) -> None:
    server = machine.boot(machine.disk, networks="none")
    refused = machine.rebuild(server, machine.page, expected_state="ERROR")
    assert "No valid host" in refused["fault"]["message"]
    assert machine.host_of(server) == MACHINES


def test_after_a_refused_rebuild_a_container_is_still_one(machine: OneMachine) -> None:
    # Nova has saved the refused image with the request by now, and the only other host runs virtual machines.
    server = machine.boot(machine.page, networks="none")
    machine.rebuild(server, machine.disk, expected_state="ERROR")
    machine.admin_api.post_server_action(server["id"], {"os-resetState": {"state": "active"}})
    machine.admin_api.post_server_action(server["id"], {"migrate": None})
    machine._wait_for_action_fail_completion(server, "migrate", "conductor_migrate_server")
    assert machine.host_of(server) == CONTAINERS
