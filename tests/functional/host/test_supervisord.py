# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""What only a real supervisord can show."""

import os
import signal
from pathlib import Path

import psutil
import pytest
from tests.fakes import clouds
from tests.functional.host import grounds, supervisors

from novadocker import poll
from novadocker.errors import NovaDockerError
from novadocker.host import journal, render
from novadocker.host.services.model import Running, Service

# Only its name and how it stops are in the supervisor's settings.
SERVICE = Service(name="floods", command=("true",), ready=Running())


def _beginning(log: Path) -> bytes:
    with log.open("rb") as stream:
        return stream.read(100)


@pytest.fixture
def place(folder):
    grounds.require("tini")
    made = supervisors.Place(folder)
    yield made
    made.close()


def _wait_for_pid(place, *, other_than: int = 0) -> int:
    def missing() -> str | None:
        process = place.supervisor.processes()["runs"]
        return None if process.running and process.pid != other_than else process.state

    poll.until(missing, why="It runs", seconds=15, pause=0.02)
    return place.supervisor.processes()["runs"].pid


def test_a_crash_is_put_right_without_us(place):
    place.declare(["runs"])
    place.supervisor.start(group=place.group)
    place.supervisor.begin("runs")
    before = _wait_for_pid(place)
    os.kill(before, signal.SIGKILL)
    assert _wait_for_pid(place, other_than=before) != before


def test_it_enters_its_group_and_leaves_no_process(place):
    place.declare(["runs"])
    place.supervisor.start(group=place.group)
    entered = psutil.Process(int((place.group / "cgroup.procs").read_text()))
    assert entered.name() == "tini"
    place.supervisor.begin("runs")
    service = psutil.Process(_wait_for_pid(place))
    assert service.parent().pid == place.supervisor.pid()
    place.supervisor.end()
    assert not service.is_running()
    assert not place.socket.exists()


def test_orphans_of_its_services_are_reaped_at_once(place):
    place.declare(["runs"])
    noted = place.folder / "orphan"
    script = f"setsid sh -c 'echo $$ > {noted}' & exec sleep 4711\n"
    (place.folder / "runs.sh").write_text(script)
    place.supervisor.start(group=place.group)
    place.supervisor.begin("runs")
    _wait_for_pid(place)
    orphan = int(noted.read_text())
    # Its parent became sleep, which does not reap; with it gone the orphan is the subreaper's.
    place.supervisor.stop("runs")
    poll.until(
        lambda: None if not psutil.pid_exists(orphan) else "a zombie",
        why="It is reaped",
        seconds=2,
        pause=0.02,
    )


def test_without_its_subreaper_it_is_known_and_ended(place):
    place.declare(["runs"])
    place.supervisor.start(group=place.group)
    psutil.Process(place.supervisor.pid()).parent().kill()
    poll.until(
        lambda: None if not place.supervisor.reaped() else "reaped", why="It knows", seconds=5, pause=0.02
    )
    place.supervisor.end()
    assert not place.supervisor.alive()


def test_a_halted_one_is_not_waited_for(place):
    place.declare(["runs"])
    place.supervisor.start(group=place.group)
    pid = place.supervisor.pid()
    os.kill(pid, signal.SIGSTOP)
    try:
        assert not place.supervisor.alive()
        with pytest.raises(NovaDockerError, match="does not answer"):
            place.supervisor.processes()
    finally:
        os.kill(pid, signal.SIGCONT)
    assert place.supervisor.alive()


def test_a_socket_left_by_a_killed_one_is_in_nobodys_way(place):
    place.declare(["runs"])
    place.supervisor.start(group=place.group)
    os.kill(place.supervisor.pid(), signal.SIGKILL)
    poll.until(lambda: None if not place.supervisor.alive() else "alive", why="It is gone", seconds=5)
    assert place.socket.exists()
    place.supervisor.start(group=place.group)
    assert place.supervisor.alive()


def test_a_service_that_writes_without_end_fills_no_disk(place):
    """With the settings that `up` writes; it is rotated, and read as one log."""
    settings = render.supervisor_file(clouds.cloud(), {"floods": SERVICE}).content
    limits = dict(line.split(" = ") for line in settings.splitlines() if line.startswith("stdout_logfile_"))
    place.declare(["floods"], **limits)
    place.supervisor.start(group=place.group)
    place.supervisor.begin("floods")
    most = (render.LOGS_KEPT + 1) * render.LOG_MB * 1_000_000 * 1.1
    oldest = place.folder / f"floods.log.{render.LOGS_KEPT}"
    sizes = []

    def rotated() -> str | None:
        sizes.append(sum(path.stat().st_size for path in place.folder.glob("floods.log*")))
        return None if oldest.exists() and b"entry 1 " not in _beginning(oldest) else "not yet"

    poll.until(rotated, why="The first part was dropped", seconds=90, pause=0.05)
    place.supervisor.stop("floods")
    assert max(sizes) < most
    parts = journal.parts(place.folder / "floods.log")
    assert len(parts) == render.LOGS_KEPT + 1
    first = next(journal.entries(parts[0].open(), service="floods"))
    assert "entry 1 " not in first.text, "the beginning is gone"


def test_settings_it_cannot_read_are_told_with_its_words(place, monkeypatch):
    place.declare(["runs"], numprocs="many")
    monkeypatch.setattr("novadocker.host.supervise.supervisord._START_SECONDS", 1.5)
    with pytest.raises(poll.NotInTime) as caught:
        place.supervisor.start(group=place.group)
    assert "many" in caught.value.facts
