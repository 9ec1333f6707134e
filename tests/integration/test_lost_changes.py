# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""Resizes, rebuilds and the like whose conductor was killed end; what somebody has in hands is let alone."""

from typing import Any

import pytest
from nova import context as nova_context
from nova import objects
from tests.integration.cloud import OneMachine
from tests.integration.ends import Held, Killed

from novadocker.conductor import roll_call
from novadocker.conductor.manager import ConductorManager
from novadocker.conductor.overdue import Overdue

TASKS = "nova.conductor.manager.ComputeTaskManager"
COMPUTE = "nova.compute.rpcapi.ComputeAPI"
RESIZE = {"resize": {"flavorRef": "2"}}  # Nova's tests boot the smallest, and know it as 1
# Who is "killed" here ends its thread.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(roll_call, "_SECONDS", 1)


@pytest.fixture
def conductor(machine: OneMachine) -> ConductorManager:
    """One that starts after the others were killed, and for which one roll call is enough."""
    machine.flags(allow_resize_to_same_host=True)
    made = ConductorManager()
    made._overdue_changes = Overdue(seconds=0)
    return made


def look(conductor: ConductorManager) -> None:
    conductor.end_lost_changes(nova_context.get_admin_context())


def task(machine: OneMachine, server: dict[str, Any]) -> Any:
    return machine.admin_api.get_server(server["id"])["OS-EXT-STS:task_state"]


def room(machine: OneMachine, consumer: str) -> dict[str, Any]:
    """What Placement keeps for a server or a migration, by resource provider."""
    kept = machine._get_allocations_by_server_uuid(consumer)
    return {provider: one["resources"] for provider, one in kept.items()}


def lose(machine: OneMachine, server: dict[str, Any], request: dict[str, Any], place: str) -> None:
    """Ask for something, and kill whoever comes to that place with it."""
    killed = Killed()
    machine.stub_out(place, killed)
    machine.admin_api.post_server_action(server["id"], request)
    killed.wait()


def rebuild(machine: OneMachine) -> dict[str, Any]:
    return {"rebuild": {"imageRef": machine.container_image(["serve"], name="newer")}}


def check_ended(machine: OneMachine, server: dict[str, Any], status: str) -> None:
    found = machine.admin_api.get_server(server["id"])
    assert (found["status"], found["OS-EXT-STS:task_state"]) == (status, None)
    context = nova_context.get_admin_context()
    with nova_context.target_cell(context, machine.cell_mappings["cell1"]) as inside:
        fault = objects.InstanceFault.get_latest_for_instance(inside, server["id"])
        assert "service that was at work on it ended" in fault.message
        moves = objects.MigrationList.get_by_filters(inside, {"instance_uuid": server["id"]})
    for move in moves:
        assert move.status == "error"
        assert room(machine, move.uuid) == {}
    action = machine.api.get_instance_actions(server["id"])[0]
    assert action["message"] == "Error"


@pytest.mark.parametrize("image", ["page", "disk"])
@pytest.mark.parametrize("place", [f"{TASKS}._cold_migrate", f"{COMPUTE}.prep_resize"])
def test_a_lost_resize_ends(machine: OneMachine, conductor: ConductorManager, place: str, image: str) -> None:
    """Before a place was sought for it, and when its room was the migration's and nova-compute not told."""
    server = machine.boot(getattr(machine, image), networks="none")
    before = room(machine, server["id"])
    lose(machine, server, RESIZE, place)
    assert task(machine, server) == "resize_prep"
    look(conductor)
    check_ended(machine, server, "ACTIVE")
    assert room(machine, server["id"]) == before


def test_what_a_resize_kept_is_given_back_when_nova_compute_started_anew_too(
    machine: OneMachine, conductor: ConductorManager
) -> None:
    """It takes the task off, and knows nothing of the room."""
    server = machine.boot(machine.page, networks="none")
    before = room(machine, server["id"])
    lose(machine, server, RESIZE, f"{COMPUTE}.prep_resize")
    context = nova_context.get_admin_context()
    with nova_context.target_cell(context, machine.cell_mappings["cell1"]) as inside:
        known = objects.Instance.get_by_uuid(inside, server["id"])
        machine.docker.manager._init_instance(inside, known)
    assert task(machine, server) is None
    assert room(machine, server["id"]) != before
    look(conductor)
    assert room(machine, server["id"]) == before
    with nova_context.target_cell(context, machine.cell_mappings["cell1"]) as inside:
        moves = objects.MigrationList.get_by_filters(inside, {"instance_uuid": server["id"]})
    assert [(move.status, room(machine, move.uuid)) for move in moves] == [("error", {})]


@pytest.mark.parametrize("place", [f"{TASKS}._schedule_instances", f"{COMPUTE}.rebuild_instance"])
def test_a_lost_rebuild_ends_and_can_be_asked_for_again(
    machine: OneMachine, conductor: ConductorManager, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = machine.boot(machine.page, networks="none")
    before = room(machine, server["id"])
    request = rebuild(machine)
    killed = Killed()
    with monkeypatch.context() as during:
        during.setattr(place, killed)
        machine.api.post_server_action(server["id"], request)
        killed.wait()
    assert task(machine, server) == "rebuilding"
    look(conductor)
    check_ended(machine, server, "ACTIVE")
    assert room(machine, server["id"]) == before
    machine.rebuild(server, request["rebuild"]["imageRef"], expected_state="ACTIVE")


@pytest.mark.parametrize("place", [f"{TASKS}._schedule_instances", f"{COMPUTE}.unshelve_instance"])
def test_a_lost_unshelve_ends(machine: OneMachine, conductor: ConductorManager, place: str) -> None:
    machine.flags(shelved_offload_time=0)
    server = machine.boot(machine.disk, networks="none")
    machine.api.post_server_action(server["id"], {"shelve": None})
    machine._wait_for_state_change(server, "SHELVED_OFFLOADED")
    lose(machine, server, {"unshelve": None}, place)
    assert task(machine, server) == "unshelving"
    look(conductor)
    check_ended(machine, server, "SHELVED_OFFLOADED")
    assert room(machine, server["id"]) == {}


def test_a_lost_live_migration_ends(machine: OneMachine, conductor: ConductorManager) -> None:
    server = machine.boot(machine.disk, networks="none")
    before = room(machine, server["id"])
    place = "nova.conductor.tasks.live_migrate.LiveMigrationTask._find_destination"
    lose(machine, server, {"os-migrateLive": {"host": None, "block_migration": "auto"}}, place)
    assert task(machine, server) == "migrating"
    look(conductor)
    check_ended(machine, server, "ACTIVE")
    assert room(machine, server["id"]) == before


def test_a_lost_evacuation_ends(machine: OneMachine, conductor: ConductorManager) -> None:
    """Though nobody answers where the server is; the room it was to get is free again."""
    server = machine.boot(machine.disk, networks="none")
    before = room(machine, server["id"])
    machine.flags(compute_driver=machine.compute_driver)
    machine._start_compute("two")
    gone = machine.computes[machine.host_of(server)]
    gone.stop()
    service = machine.admin_api.get_services(host=gone.host, binary="nova-compute")[0]
    machine.admin_api.put_service(service["id"], {"forced_down": True})
    lose(machine, server, {"evacuate": {}}, f"{COMPUTE}.rebuild_instance")
    assert task(machine, server) == "rebuilding"
    assert room(machine, server["id"]) != before
    look(conductor)
    check_ended(machine, server, "ACTIVE")
    assert room(machine, server["id"]) == before


def test_one_look_is_not_enough(machine: OneMachine) -> None:
    server = machine.boot(machine.page, networks="none")
    lose(machine, server, rebuild(machine), f"{TASKS}._schedule_instances")
    look(machine.conductor.manager)
    assert task(machine, server) == "rebuilding"


def test_what_a_conductor_has_in_hands_is_let_alone(machine: OneMachine) -> None:
    ours: ConductorManager = machine.conductor.manager
    ours._overdue_changes = Overdue(seconds=0)
    server = machine.boot(machine.page, networks="none")
    held = Held(ours.compute_task_mgr._schedule_instances)
    ours.compute_task_mgr._schedule_instances = held
    machine.api.post_server_action(server["id"], rebuild(machine))
    with held.reached():
        assert ours.compute_task_mgr.at_work() == {server["id"]}
        look(ours)
        assert task(machine, server) == "rebuilding"
    machine._wait_for_server_parameter(server, {"status": "ACTIVE", "OS-EXT-STS:task_state": None})
    assert ours.compute_task_mgr.at_work() == set()


def test_what_a_compute_has_in_hands_is_let_alone(machine: OneMachine, conductor: ConductorManager) -> None:
    """A rebuild keeps the task for as long as the old container needs to stop."""
    server = machine.boot(machine.page, networks="none")
    held = Held(machine.docker.manager._do_rebuild_instance_with_claim)
    machine.docker.manager._do_rebuild_instance_with_claim = held
    machine.api.post_server_action(server["id"], rebuild(machine))
    with held.reached():
        machine.api.post_server_action(server["id"], {"lock": None})
        look(conductor)
        assert task(machine, server) == "rebuilding"
    machine._wait_for_server_parameter(server, {"status": "ACTIVE", "OS-EXT-STS:task_state": None})


@pytest.mark.parametrize("who", ["conductor", "docker"])
def test_what_lies_in_a_queue_is_let_alone(machine: OneMachine, who: str) -> None:
    ours: ConductorManager = machine.conductor.manager
    ours._overdue_changes = Overdue(seconds=0)
    server = machine.boot(machine.page, networks="none")
    service = getattr(machine, who)
    service.rpcserver.stop()
    service.rpcserver.wait()
    machine.api.post_server_action(server["id"], rebuild(machine))
    look(ours)
    assert task(machine, server) == "rebuilding"
    service.rpcserver.start()
    machine._wait_for_server_parameter(server, {"status": "ACTIVE", "OS-EXT-STS:task_state": None})
