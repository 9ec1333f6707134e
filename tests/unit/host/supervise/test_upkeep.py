# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest
from tests.fakes import clouds, supervisor
from tests.fakes.clock import Clock
from tests.fakes.supervisor import FakeSupervisor

from novadocker import poll
from novadocker.errors import NovaDockerError
from novadocker.host import render
from novadocker.host.services.model import Running, Service, Tcp
from novadocker.host.supervise.door import Supervision
from novadocker.host.supervise.upkeep import Upkeep

GROUP = Path("/cg/nova-docker")
IT = Service(name="it", command=("/usr/bin/it",), ready=Tcp(5), within=30, outlives=("shim",))
SERVICES = {"it": IT, "other": replace(IT, name="other")}


class Machine:
    """A cloud's upkeep with everything about it told: who ended, who was asked, and what it answered."""

    def __init__(self, folder: Path) -> None:
        self.cloud = clouds.cloud_in(folder)
        self.layout = self.cloud.layout
        for made in (self.layout.etc, self.layout.logs, self.layout.started):
            made.mkdir(parents=True)
        self.services = dict(SERVICES)
        self.supervisor = FakeSupervisor(settings=lambda: self.services)
        self.clock = Clock()
        self.missing: list[str | None] = [None]
        self.ended: list[tuple[Path, tuple[str, ...]]] = []

    def upkeep(self) -> Upkeep:
        return Upkeep(
            self.cloud,
            services=self.services,
            supervision=Supervision(
                supervisor=self.supervisor,
                settings=(render.supervisor_file(self.cloud, self.services),),
                scripts={
                    name: render.start_file(self.cloud, service, group=str(GROUP / name))
                    for name, service in self.services.items()
                },
                groups={name: GROUP / name for name in (*self.services, "supervisor")},
            ),
            missing=self._ask,
            end_leftovers=self._end,
            clock=self.clock,
            rest=self.clock.rest,
        )

    def log(self, text: str) -> None:
        (self.layout.logs / "it.log").write_text(text)

    def _ask(self, probe) -> str | None:
        assert probe == IT.ready
        return self.missing.pop(0) if len(self.missing) > 1 else self.missing[0]

    def _end(self, group: Path, *, outlives) -> int:
        self.ended.append((group, tuple(outlives)))
        self.supervisor.calls.append(f"leftovers {group.name}")
        return 0


@pytest.fixture
def machine(tmp_path):
    return Machine(tmp_path)


@pytest.fixture
def running(machine):
    """A machine on which the service runs and is ready."""
    upkeep = machine.upkeep()
    assert upkeep.start_supervisor()
    assert upkeep.ensure(IT)
    machine.supervisor.calls.clear()
    machine.clock.rests.clear()
    return machine


def test_what_is_left_behind_ends_before_the_supervisor_starts(machine):
    assert machine.upkeep().start_supervisor()
    assert sorted(machine.supervisor.calls[:2]) == ["leftovers it", "leftovers other"]
    assert machine.supervisor.calls[2:] == ["leftovers supervisor", f"start in {GROUP}/supervisor"]
    assert sorted(machine.ended[:2]) == [(GROUP / "it", ("shim",)), (GROUP / "other", ("shim",))]
    assert machine.ended[2:] == [(GROUP / "supervisor", ())]


def test_what_is_left_of_all_services_ends_at_once(machine, monkeypatch):
    """One that waits for another's answer, in vain by then, takes ten seconds to give up."""
    together = threading.Barrier(len(SERVICES), timeout=10)

    def end(group: Path, *, outlives) -> int:
        if group.name in SERVICES:
            together.wait()
        return 0

    monkeypatch.setattr(machine, "_end", end)
    assert machine.upkeep().start_supervisor()


def test_a_supervisor_that_is_right_is_left_alone(running):
    assert not running.upkeep().start_supervisor()
    assert running.supervisor.calls == []


def test_a_new_service_is_adopted(running):
    running.services["new"] = replace(IT, name="new")
    assert running.upkeep().start_supervisor()
    assert "new" in running.supervisor.processes()
    assert running.supervisor.processes()["it"].running


def test_settings_that_an_interrupted_run_wrote_are_adopted(running):
    running.services["new"] = replace(IT, name="new")
    file = render.supervisor_file(running.cloud, running.services)
    file.path.write_text(file.content)
    file.path.chmod(file.mode)
    assert running.upkeep().start_supervisor()
    assert "new" in running.supervisor.processes()


def test_without_its_subreaper_it_starts_anew(running):
    running.supervisor.subreaper = False
    assert running.upkeep().start_supervisor()
    assert running.supervisor.calls[0] == "end"
    assert running.supervisor.calls[-1] == f"start in {GROUP}/supervisor"


def test_a_service_is_started_and_waited_for(machine):
    machine.upkeep().start_supervisor()
    machine.missing = ["refused", "refused", None]
    machine.supervisor.calls.clear()
    assert machine.upkeep().ensure(IT)
    assert machine.supervisor.calls == ["leftovers it", "begin it"]
    assert machine.missing == [None]


def test_a_service_that_is_right_is_left_alone(running):
    assert not running.upkeep().ensure(IT)
    assert running.supervisor.calls == []
    assert running.clock.rests == []


def test_with_other_settings_it_is_restarted(running):
    running.services["it"] = changed = replace(IT, environment={"NEW": "1"})
    upkeep = running.upkeep()
    assert upkeep.ensure(changed)
    assert running.supervisor.calls == ["stop it", "leftovers it", "begin it"]
    assert not upkeep.ensure(changed)


def test_after_a_run_that_ended_between_stop_and_start_it_starts(running):
    running.supervisor.stop("it")
    running.supervisor.calls.clear()
    assert running.upkeep().ensure(IT)
    assert running.supervisor.calls == ["leftovers it", "begin it"]


def test_one_that_is_still_coming_up_is_waited_for(running):
    running.missing = ["refused", "refused", "refused", None]
    assert running.upkeep().ensure(IT)
    assert running.supervisor.calls == []


def test_who_answers_is_ready_before_the_supervisor_is_sure_of_it(machine):
    machine.upkeep().start_supervisor()
    machine.supervisor.behaviour["it"] = ("STARTING",)
    assert machine.upkeep().ensure(IT)
    assert machine.clock.rests == []
    # It is let be by the next run, too.
    machine.supervisor.calls.clear()
    assert not machine.upkeep().ensure(IT)
    assert machine.supervisor.calls == []


def test_who_answers_nobody_must_have_run_for_a_while(machine):
    machine.upkeep().start_supervisor()
    machine.supervisor.behaviour["it"] = ("STARTING", "STARTING", "RUNNING")
    machine._ask = lambda probe: None
    assert machine.upkeep().ensure(replace(IT, ready=Running()))
    assert machine.clock.rests


def test_one_that_hangs_is_restarted_once(running):
    def answer(probe):
        return None if "begin it" in running.supervisor.calls else "no answer"

    running._ask = answer
    assert running.upkeep().ensure(IT)
    assert running.supervisor.calls == ["stop it", "leftovers it", "begin it"]
    assert sum(running.clock.rests) == pytest.approx(IT.within, abs=1.1)


def test_one_that_the_supervisor_just_restarts_is_started_anew(machine):
    machine.upkeep().start_supervisor()
    machine.supervisor.behaviour["it"] = ("BACKOFF",)
    machine.supervisor.begin("it")
    machine.supervisor.behaviour.clear()
    machine.supervisor.calls.clear()
    assert machine.upkeep().ensure(IT)
    assert machine.supervisor.calls == ["stop it", "leftovers it", "begin it"]


def test_one_that_does_not_stay_up_is_told_with_its_logs_words(machine):
    machine.upkeep().start_supervisor()
    machine.missing = ["refused"]
    machine.supervisor.behaviour["it"] = supervisor.FAILS
    machine.log("starting\n2026 ERROR it: port 5 is taken\nbye\n")
    with pytest.raises(NovaDockerError) as caught:
        machine.upkeep().ensure(IT)
    assert caught.value.summary == "it does not stay up."
    assert caught.value.facts == "2026 ERROR it: port 5 is taken"
    assert caught.value.hint == f"See {machine.layout.logs}/it.log."


def test_one_that_is_started_again_and_again_is_not_waited_for(machine):
    machine.upkeep().start_supervisor()
    machine.supervisor.behaviour["it"] = ("STARTING", "BACKOFF")
    begin = machine.supervisor.begin

    def begun(name: str) -> None:
        begin(name)
        machine.layout.starts.mkdir()
        (machine.layout.starts / name).write_text(f"{int(time.time())}\n" * 7)

    machine.supervisor.begin = begun
    with pytest.raises(NovaDockerError, match="does not stay up"):
        machine.upkeep().ensure(IT)


def test_without_a_log_the_supervisors_words_are_told(machine):
    machine.upkeep().start_supervisor()
    machine.missing = ["refused"]
    machine.supervisor.behaviour["it"] = supervisor.FAILS
    with pytest.raises(NovaDockerError) as caught:
        machine.upkeep().ensure(IT)
    assert caught.value.facts == "Exited too quickly"


def test_one_that_failed_before_is_begun_anew(machine):
    machine.upkeep().start_supervisor()
    machine.missing = ["refused"]
    machine.supervisor.behaviour["it"] = supervisor.FAILS
    with pytest.raises(NovaDockerError, match="does not stay up"):
        machine.upkeep().ensure(IT)
    machine.missing = [None]
    machine.supervisor.behaviour.clear()
    assert machine.upkeep().ensure(IT)


def test_one_that_never_gets_ready_is_told_with_the_last_thing_seen(machine):
    machine.upkeep().start_supervisor()
    machine.missing = ["connection refused"]
    machine.log("one\ntwo\n")
    with pytest.raises(poll.NotInTime) as caught:
        machine.upkeep().ensure(IT)
    assert caught.value.summary == "it ready: not within 30 s."
    assert caught.value.facts == "connection refused\none\ntwo"
    assert sum(machine.clock.rests) == pytest.approx(30)


def test_one_that_does_not_stop_is_told(running):
    running.services["it"] = changed = replace(IT, environment={"NEW": "1"})
    running.supervisor.stop = lambda name: None
    with pytest.raises(poll.NotInTime, match="it stopped"):
        running.upkeep().ensure(changed)
    assert "begin it" not in running.supervisor.calls
