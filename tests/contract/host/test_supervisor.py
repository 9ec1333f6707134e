# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""What every supervisor does: the fake, and a real supervisord below tini."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.fakes import supervisor as fakes
from tests.fakes.supervisor import FakeSupervisor
from tests.functional.host import grounds, supervisors

from novadocker import poll
from novadocker.errors import NovaDockerError
from novadocker.host.supervise.door import Process, Supervisor


@dataclass
class Ground:
    supervisor: Supervisor
    declare: Callable[[Iterable[str]], None]
    group: Path

    def state(self, name: str) -> Process:
        return self.supervisor.processes()[name]

    def wait(self, name: str, *states: str) -> Process:
        poll.until(
            lambda: None if self.state(name).state in states else self.state(name).state,
            why=f"{name} is {' or '.join(states)}",
            seconds=15,
            pause=0.01,
        )
        return self.state(name)


def _fake() -> Ground:
    declared: list[str] = []
    fake = FakeSupervisor(settings=lambda: declared, behaviour={"fails": fakes.FAILS})

    def declare(names: Iterable[str]) -> None:
        declared[:] = names

    return Ground(supervisor=fake, declare=declare, group=Path("/group"))


@pytest.fixture(params=["fake", pytest.param("supervisord", marks=pytest.mark.functional)])
def ground(request: pytest.FixtureRequest) -> Iterator[Ground]:
    if request.param == "fake":
        yield _fake()
        return
    grounds.require("tini")
    with grounds.short_folder() as folder:
        place = supervisors.Place(folder)
        try:
            yield Ground(supervisor=place.supervisor, declare=place.declare, group=place.group)
        finally:
            place.close()


@pytest.fixture
def started(ground: Ground) -> Ground:
    ground.declare(["runs", "fails"])
    ground.supervisor.start(group=ground.group)
    return ground


def test_one_that_does_not_run_is_not_alive_and_says_so(ground):
    assert not ground.supervisor.alive()
    assert not ground.supervisor.reaped()
    for ask in (ground.supervisor.processes, ground.supervisor.adopt_settings, ground.supervisor.end):
        with pytest.raises(NovaDockerError, match="does not answer"):
            ask()


def test_started_it_knows_its_services_and_runs_none(started):
    assert started.supervisor.alive()
    assert started.supervisor.reaped()
    processes = started.supervisor.processes()
    assert set(processes) == {"runs", "fails"}
    assert {each.state for each in processes.values()} == {"STOPPED"}
    assert all(each.at_rest and not each.running and not each.pid for each in processes.values())


def test_a_service_runs_when_begun_until_stopped(started):
    started.supervisor.begin("runs")
    assert not started.state("runs").at_rest
    running = started.wait("runs", "RUNNING")
    assert running.running
    assert running.pid > 1
    started.supervisor.begin("runs")
    assert started.state("runs").pid == running.pid
    started.supervisor.stop("runs")
    assert started.state("runs").at_rest
    started.supervisor.stop("runs")
    started.supervisor.begin("runs")
    assert started.wait("runs", "RUNNING").pid != running.pid


def test_one_that_does_not_stay_up_is_given_up_and_can_be_begun_again(started):
    started.supervisor.begin("fails")
    failed = started.wait("fails", "FATAL")
    assert failed.at_rest
    assert failed.said
    started.supervisor.stop("fails")
    started.supervisor.begin("fails")
    assert started.state("fails").state in ("STARTING", "BACKOFF")


def test_a_name_nobody_knows_is_refused(started):
    for ask in (started.supervisor.begin, started.supervisor.stop):
        with pytest.raises(NovaDockerError, match="refused"):
            ask("nobody")


def test_new_settings_are_adopted_and_the_others_run_on(started):
    assert not started.supervisor.adopt_settings()
    started.supervisor.begin("runs")
    pid = started.wait("runs", "RUNNING").pid
    started.declare(["runs", "runs2"])
    assert started.supervisor.adopt_settings()
    processes = started.supervisor.processes()
    assert set(processes) == {"runs", "runs2"}
    assert processes["runs"].pid == pid
    assert processes["runs2"].at_rest
    assert not started.supervisor.adopt_settings()


def test_one_that_runs_is_removed_with_its_settings(started):
    started.supervisor.begin("runs")
    started.wait("runs", "RUNNING")
    started.declare(["fails"])
    assert started.supervisor.adopt_settings()
    assert set(started.supervisor.processes()) == {"fails"}


def test_it_ends_with_its_services_and_starts_again(started):
    started.supervisor.begin("runs")
    started.supervisor.end()
    assert not started.supervisor.alive()
    started.supervisor.start(group=started.group)
    assert started.state("runs").at_rest
