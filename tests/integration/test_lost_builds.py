# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""Builds whose conductor or nova-compute was killed end, and say so; what waits its turn is let alone."""

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
# Who is "killed" here ends its thread.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
COMPUTE = "nova.compute.manager.ComputeManager"


def asked_for(machine: OneMachine) -> dict[str, Any]:
    request = machine._build_server(image_uuid=machine.page, networks="none")
    return dict(machine.api.post_server({"server": request}))


def look(conductor: ConductorManager) -> None:
    conductor.end_lost_builds(nova_context.get_admin_context())


def status(machine: OneMachine, server: dict[str, Any]) -> str:
    return str(machine.api.get_server(server["id"])["status"])


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(roll_call, "_SECONDS", 1)


@pytest.fixture
def conductor(machine: OneMachine) -> ConductorManager:
    """One that starts after the others were killed, and for which one roll call is enough."""
    made = ConductorManager()
    made._overdue_builds = Overdue(seconds=0)
    return made


@pytest.mark.parametrize(
    "place",
    [f"{TASKS}._schedule_instances", f"{TASKS}._recheck_quota", f"{COMPUTE}._do_build_and_run_instance"],
)
def test_a_lost_build_ends(machine: OneMachine, conductor: ConductorManager, place: str) -> None:
    """Before it had a place, when it was written into its cell, and when nova-compute had just taken it."""
    killed = Killed()
    machine.stub_out(place, killed)
    server = asked_for(machine)
    killed.wait()
    assert status(machine, server) == "BUILD"
    look(conductor)
    found = machine.api.get_server(server["id"])
    assert found["status"] == "ERROR"
    assert "service that was at work on it ended" in found["fault"]["message"]
    assert objects.BuildRequestList.get_all(nova_context.get_admin_context()).objects == []
    assert machine._get_allocations_by_server_uuid(server["id"]) == {}
    machine.api.delete_server(server["id"])
    machine._wait_until_deleted(server)


def test_one_look_is_not_enough(machine: OneMachine, conductor: ConductorManager) -> None:
    """An API may have written it down, and be about to send it."""
    conductor._overdue_builds = Overdue(seconds=45)
    killed = Killed()
    machine.stub_out(f"{TASKS}._schedule_instances", killed)
    server = asked_for(machine)
    killed.wait()
    look(conductor)
    assert status(machine, server) == "BUILD"


def test_a_build_in_hands_is_let_alone(machine: OneMachine) -> None:
    ours: ConductorManager = machine.conductor.manager
    ours._overdue_builds = Overdue(seconds=0)
    held = Held(ours.compute_task_mgr._schedule_instances)
    ours.compute_task_mgr._schedule_instances = held
    server = asked_for(machine)
    with held.reached():
        assert ours.compute_task_mgr.at_work() == {server["id"]}
        look(ours)
        assert status(machine, server) == "BUILD"
    machine._wait_for_state_change(server, "ACTIVE")
    assert ours.compute_task_mgr.at_work() == set()


@pytest.mark.parametrize("who", ["conductor", "docker"])
def test_what_lies_in_a_queue_is_let_alone(machine: OneMachine, who: str) -> None:
    """However long: nobody has taken it up, and whoever comes will."""
    ours: ConductorManager = machine.conductor.manager
    ours._overdue_builds = Overdue(seconds=0)
    service = getattr(machine, who)
    service.rpcserver.stop()
    service.rpcserver.wait()
    server = asked_for(machine)
    look(ours)
    assert status(machine, server) == "BUILD"
    service.rpcserver.start()
    machine._wait_for_state_change(server, "ACTIVE")


def test_what_waits_for_others_in_nova_compute_is_let_alone(
    machine: OneMachine, conductor: ConductorManager
) -> None:
    """Where it builds as many at a time as it may, a build without a host may be the next."""
    machine.flags(max_concurrent_builds=1)
    held = Held(machine.docker.manager.driver.spawn)
    machine.docker.manager.driver.spawn = held
    first = asked_for(machine)
    with held.reached():
        killed = Killed()
        machine.stub_out(f"{COMPUTE}._do_build_and_run_instance", killed)
        lost = asked_for(machine)
        killed.wait()
        look(conductor)
        assert status(machine, lost) == "BUILD"
    machine._wait_for_state_change(first, "ACTIVE")
    look(conductor)
    assert status(machine, lost) == "ERROR"
