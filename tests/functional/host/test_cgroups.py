# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from tests.functional.host import grounds

from novadocker import poll
from novadocker.host import cgroups

# A program, its child, and a grandchild that has left session and process group; all three wait.
FAMILY = ["sh", "-c", "setsid sh -c 'sleep 4711 & wait' & wait"]


def _wait_for(group, count: int) -> set[int]:
    poll.until(
        lambda: None if len(cgroups.members(group)) == count else str(cgroups.members(group)),
        why="The family is complete",
        seconds=10,
        pause=0.01,
    )
    return cgroups.members(group)


def test_a_hierarchy_is_found_in_which_groups_can_be_made(groups):
    mounted, name = groups
    assert mounted.follow in mounted.mounts
    (mounted.follow / name).mkdir()
    assert cgroups.members(mounted.follow / name) == set()


def test_descendants_stay_in_their_group_and_end_with_it(groups):
    mounted, name = groups
    group = mounted.follow / name
    with grounds.inside(group / "service" / "deeper", *FAMILY) as process:
        family = _wait_for(group, 3)
        assert process.pid in family
        assert len({os.getsid(pid) for pid in family}) == 2
        assert cgroups.kill(mounted, name=name) == 3
        assert cgroups.members(group) == set()
        assert process.wait(5) == -signal.SIGKILL
    assert cgroups.remove(mounted, name=name)
    assert not group.exists()


def test_the_group_of_a_name_is_ended_in_every_hierarchy(groups):
    mounted, name = groups
    others = [
        mount / name
        for mount in mounted.mounts
        if mount != mounted.follow and mount.name in ("pids", "memory")
    ]
    if not others:
        pytest.skip("machine cannot: mount control groups of the first version")
    with grounds.inside(others[0], "sleep", "4711") as process:
        _wait_for(others[0], 1)
        assert cgroups.kill(mounted, name=name) == 1
        assert process.wait(5) == -signal.SIGKILL


def test_a_killed_process_that_nobody_reaps_is_in_nobodys_way(groups):
    mounted, name = groups
    with grounds.inside(mounted.follow / name, "sleep", "4711") as process:
        _wait_for(mounted.follow / name, 1)
        assert cgroups.kill(mounted, name=name, seconds=3) == 1
        assert process.returncode is None  # not reaped: a zombie
        assert cgroups.remove(mounted, name=name)


def test_a_paused_process_ends_too(groups):
    mounted, name = groups
    freezers = [mount / name for mount in mounted.mounts if mount.name == "freezer"]
    if not freezers:
        pytest.skip("machine cannot: mount the freezer of the first version")
    paused = freezers[0] / "server"
    with grounds.inside(paused, "sleep", "4711") as process:
        _wait_for(paused, 1)
        (paused / "freezer.state").write_text("FROZEN")
        assert cgroups.kill(mounted, name=name, seconds=5) == 1
        assert process.wait(5) == -signal.SIGKILL


CLAIMER = """
import subprocess, sys
from novadocker.host import cgroups
ended = cgroups.claim(cgroups.hierarchies(), name=sys.argv[1])
child = subprocess.Popen(["sleep", "4711"], start_new_session=True, stdout=subprocess.DEVNULL)
print(ended, child.pid, flush=True)
child.wait()
"""


@contextmanager
def _claimer(name: str) -> Iterator[tuple[subprocess.Popen, int, int]]:
    """A process that claims the group, with what it ended and the pid of the child it waits for."""
    command = [sys.executable, "-c", CLAIMER, name]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        ended, child = map(int, process.stdout.readline().split())
        try:
            yield process, ended, child
        finally:
            process.kill()


def test_what_a_killed_run_left_is_ended_by_the_next(groups):
    mounted, name = groups
    with _claimer(f"{name}/up") as (first, ended, child):
        assert ended == 0
        assert cgroups.members(mounted.follow / name) == {first.pid, child}
    assert cgroups.members(mounted.follow / name) == {child}
    with _claimer(f"{name}/up") as (second, ended, other):
        assert ended == 1
        assert cgroups.members(mounted.follow / name) == {second.pid, other}


def test_without_a_group_there_is_nothing_to_do(groups):
    mounted, name = groups
    assert cgroups.kill(mounted, name=name) == 0
    assert not cgroups.remove(mounted, name=name)


def test_a_group_with_a_process_is_told(groups, monkeypatch):
    mounted, name = groups
    group = mounted.follow / name
    with grounds.inside(group, "sleep", "4711"):
        _wait_for(group, 1)
        assert cgroups._prune(group) is not None
    assert cgroups._prune(group) is None


def test_groups_that_go_while_they_are_looked_through_are_passed_over(tmp_path):
    """A container's goes with its last process, in no order of ours; the groups of servers are many."""
    stop = threading.Event()

    def come_and_go() -> None:
        while not stop.is_set():
            for number in range(50):
                (tmp_path / f"{number}" / "below").mkdir(parents=True)
            for number in range(50):
                (tmp_path / f"{number}" / "below").rmdir()
                (tmp_path / f"{number}").rmdir()

    restless = threading.Thread(target=come_and_go)
    restless.start()
    try:
        for _ in range(300):
            assert cgroups.members(tmp_path) == set()
    finally:
        stop.set()
        restless.join()
