# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""Services in Python start as copies of a supervisord that has loaded what they share."""

import json
import os
import re
import shutil
import signal
import sys
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
from tests.fakes import clouds
from tests.functional.host import grounds

from novadocker import poll
from novadocker.host import render
from novadocker.host.services.model import Running, Service
from novadocker.host.supervise import supervisord

pytestmark = pytest.mark.functional

VENV = Path(sys.prefix)
# What it finds when it begins; then it waits, ends as it is told to, or fails.
PROGRAM = """
import json, os, pathlib, signal, sys, tempfile, threading
loaded = len(sys.modules)
def opened(number):
    try:
        return os.readlink(f"/proc/self/fd/{number}")
    except FileNotFoundError:
        return "the list itself"
told, ends = sys.argv[1:3]
status = dict(line.split(":", 1) for line in open("/proc/self/status"))
facts = {
    "pid": os.getpid(), "loaded": loaded, "argv": sys.argv, "name": __name__,
    "environment": {name: os.environ.get(name) for name in ("WORDS", "PATH", "TZ", "XDG_CACHE_HOME")},
    "users": [os.getresuid(), os.getresgid(), os.getgroups()], "umask": status["Umask"].strip(),
    "gains": status["NoNewPrivs"].strip(), "rights": status["CapEff"].strip(),
    "blocked": status["SigBlk"].strip(),
    "handlers": [number for number in signal.valid_signals() if callable(signal.getsignal(number))],
    "files": sorted(map(opened, os.listdir("/proc/self/fd"))),
    "mounts": os.readlink("/proc/self/ns/mnt"), "threads": threading.active_count(),
    "temporary": tempfile.gettempdir(),
}
pathlib.Path(told).write_text(json.dumps(facts))
print("it says so", flush=True)
if ends != "never":
    sys.exit(int(ends) if ends.isdigit() else ends)
signal.pause()
"""


class Place:
    """A cloud's folders with one service that is a program in Python, and the supervisord that starts it."""

    def __init__(self, folder: Path, group: Path) -> None:
        self.cloud = clouds.cloud_in(folder, venv=VENV)
        self.group = group
        self.told = folder / "told"
        self.program = folder / "openstack-program"
        self.program.write_text(PROGRAM)
        layout = self.cloud.layout
        for each in (layout.etc / "start", layout.run, layout.logs, layout.starts):
            each.mkdir(parents=True)
        self.supervisor = supervisord.of(self.cloud)
        self.service = Service(
            name="it",
            command=self._command("never"),
            ready=Running(),
            environment={"WORDS": "one 'two' $three", "TMPDIR": str(self.cloud.layout.run)},
        )

    def ends(self, how: str) -> None:
        self.service = replace(self.service, command=self._command(how))

    def start(self) -> dict[str, object]:
        """Write what `up` writes, have it started, and return what the program found."""
        self.group.mkdir(parents=True, exist_ok=True)
        start = render.start_file(self.cloud, self.service, group=str(self.group))
        settings = render.supervisor_file(self.cloud, {"it": self.service})
        for file in (start, settings):
            file.path.write_text(file.content)
            file.path.chmod(file.mode)
        if not self.supervisor.alive():
            (self.group.parent / "supervisor").mkdir(exist_ok=True)
            self.supervisor.start(group=self.group.parent / "supervisor")
        self.supervisor.begin("it")
        return self.found()

    def found(self, *, other_than: int = 0) -> dict[str, object]:
        def missing() -> str | None:
            try:
                return None if json.loads(self.told.read_text())["pid"] != other_than else "the one before"
            except (OSError, ValueError):
                return self.log()[-300:] or "nothing yet"

        poll.until(missing, why="What the program found", seconds=12, pause=0.05)
        facts: dict[str, object] = json.loads(self.told.read_text())
        return facts

    def log(self) -> str:
        log = self.cloud.layout.logs / "it.log"
        return log.read_text() if log.exists() else ""

    def _command(self, ends: str) -> tuple[str, ...]:
        return (str(VENV / "bin" / "python"), "-P", "-m", "novadocker.programs.single", str(self.program),
                str(self.told), ends)  # fmt: skip


@pytest.fixture
def place(folder, groups):
    grounds.require("tini")
    mounted, name = groups
    made = Place(folder, mounted.follow / name / "it")
    yield made
    if made.supervisor.alive():
        made.supervisor.end()


def test_it_shares_what_is_loaded_and_is_a_program_of_its_own(place):
    found = place.start()
    process = psutil.Process(found["pid"])
    assert process.ppid() == place.supervisor.pid()
    assert found["pid"] == place.supervisor.processes()["it"].pid
    # It has not loaded them itself: that takes a second of a processor.
    assert found["loaded"] > 1500
    assert sum(process.cpu_times()[:2]) < 0.6
    shared = dict(re.findall(r"(\w+): +(\d+) kB", Path(f"/proc/{process.pid}/smaps_rollup").read_text()))
    assert int(shared["Shared_Dirty"]) > 2 * int(shared["Private_Dirty"])
    # As `ps` and `top` show it.
    assert process.cmdline() == [*place.service.command]
    assert process.name() == "it"
    assert found["name"] == "__main__"
    assert found["argv"] == [str(place.program), str(place.told), "never"]
    poll.until(lambda: None if "it says so" in place.log() else "silence", why="Its log", seconds=5)


def test_nothing_of_the_supervisors_is_left_in_it(place):
    found = place.start()
    assert found["handlers"] == [signal.SIGINT]  # Python's own
    assert int(found["blocked"], 16) == 0
    assert found["threads"] == 1
    kinds = {re.sub(r":.*", "", each) for each in found["files"]}
    assert kinds <= {"pipe", "the list itself"}
    assert found["environment"]["WORDS"] == "one 'two' $three"
    assert found["environment"]["TZ"] == "UTC"
    assert found["temporary"] == str(place.cloud.layout.run)
    assert Path("/proc/self/ns/mnt").readlink() == Path(found["mounts"])
    assert (place.group / "cgroup.procs").read_text().split() == [str(found["pid"])]


def test_another_user_gains_nothing_later_and_may_look_at_itself(place):
    place.service = replace(place.service, user="nobody")
    place.told.touch()
    shutil.chown(place.told, "nobody")
    found = place.start()
    uid, gid = place.told.stat().st_uid, 65534
    assert found["users"][:2] == [[uid] * 3, [gid] * 3]
    assert 0 not in found["users"][2]
    assert (found["gains"], int(found["rights"], 16)) == ("1", 0)


def test_its_own_mounts_are_not_the_machines(place):
    inside = f"mount -t tmpfs own {place.cloud.layout.run}"
    place.service = replace(place.service, mounts="unchanged", prepare=("mount --make-rprivate /", inside))
    found = place.start()
    assert Path(found["mounts"]) != Path("/proc/self/ns/mnt").readlink()
    assert not os.path.ismount(place.cloud.layout.run)


def test_killed_it_starts_again_from_the_same_copy(place):
    found = place.start()
    os.kill(found["pid"], signal.SIGKILL)
    again = place.found(other_than=found["pid"])
    assert again["loaded"] == found["loaded"]


@pytest.mark.parametrize(("how", "code"), [("3", 3), ("the reason", 1), ("0", 0)])
def test_its_end_is_told_with_its_code(place, how, code):
    place.ends(how)
    place.start()
    log = place.cloud.layout.logs / "supervisor.log"
    poll.until(
        lambda: None if f"exit status {code};" in log.read_text() else log.read_text()[-300:],
        why="Its end",
        seconds=20,
        pause=0.05,
    )
    if how == "the reason":
        assert how in place.log()


def test_what_it_cannot_begin_with_is_in_its_log(place):
    place.service = replace(place.service, prepare=("echo not so >&2; false",))
    with pytest.raises(poll.NotInTime) as caught:
        place.start()
    assert "CommandFailed" in caught.value.facts
    assert not place.told.exists()
