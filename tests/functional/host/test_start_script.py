# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""The rendered start script, run for real."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import pytest
from tests.fakes import clouds

from novadocker import poll
from novadocker.host import cgroups, render
from novadocker.host.services.model import Running, Service
from novadocker.host.supervise import restarts

pytestmark = pytest.mark.functional


@contextmanager
def _running(script: Path) -> Iterator[subprocess.Popen]:
    process = subprocess.Popen(["/bin/sh", str(script)], stdin=subprocess.DEVNULL, start_new_session=True)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def _settles(group: Path, count: int) -> set[int]:
    poll.until(
        lambda: None if len(cgroups.members(group)) == count else str(cgroups.members(group)),
        why=f"{count} processes",
        seconds=10,
        pause=0.02,
    )
    return cgroups.members(group)


def _names(group: Path) -> set[str]:
    found = set()
    for pid in cgroups.members(group):
        with suppress(psutil.NoSuchProcess):
            found.add(psutil.Process(pid).name())
    return found


@pytest.mark.parametrize(("outlives", "kept"), [((), False), (("sleep",), True)])
def test_what_a_killed_service_left_behind_is_ended_before_the_next(groups, tmp_path, outlives, kept):
    """As RabbitMQ's shell leaves the broker, which holds the port the next one wants."""
    mounted, name = groups
    group = mounted.follow / name / "it"
    group.mkdir(parents=True)
    command = ("sh", "-c", "setsid sleep 4714 & wait")
    service = Service(name="it", command=command, ready=Running(), outlives=outlives)
    script = tmp_path / "it"
    script.write_text(render.start_script(clouds.cloud(), service, group=str(group)).content)
    with _running(script) as first:
        # The script has helpers of its own in the group before it becomes the command.
        poll.until(
            lambda: None if "sleep" in _names(group) else "no sleep",
            why="The command",
            seconds=10,
            pause=0.02,
        )
        before = _settles(group, 2)
        first.kill()
        first.wait()
        left = _settles(group, 1)
        assert left < before
        with _running(script):
            after = _settles(group, 3 if kept else 2)
            assert (left < after) is kept


def test_each_start_is_noted_the_first_of_them_always(groups, tmp_path):
    mounted, name = groups
    group = mounted.follow / name / "it"
    group.mkdir(parents=True)
    cloud = clouds.cloud_in(tmp_path)
    cloud.layout.starts.mkdir(parents=True)
    service = Service(name="it", command=("true",), ready=Running())
    script = tmp_path / "it"
    script.write_text(render.start_script(cloud, service, group=str(group)).content)
    note = cloud.layout.starts / "it"
    first = ""
    for _ in range(25):
        subprocess.run(["/bin/sh", str(script)], check=True)
        first = first or note.read_text().split()[0]
    assert restarts.deaths(cloud.layout, "it") == 19
    assert note.read_text().split()[0] == first
