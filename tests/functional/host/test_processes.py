# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
import os
import signal
import time
from pathlib import Path

import psutil
import pytest
from tests.functional.host import grounds

from novadocker import poll
from novadocker.host import cgroups, processes

SERVICE = """#!/bin/sh
# A manager, whose shim keeps a server.
$1/the-shim &
sleep 4711 &
wait
"""
SHIM = """#!/bin/sh
setsid sh -c 'exec sleep 4712' &
wait
"""


@pytest.fixture
def group(groups, tmp_path):
    mounted, name = groups
    for program, text in (("manager", SERVICE), ("the-shim", SHIM)):
        (tmp_path / program).write_text(text)
        (tmp_path / program).chmod(0o755)
    return mounted.follow / name


def _names(group) -> list[str]:
    found = []
    for pid in cgroups.members(group):
        try:
            found.append(" ".join(psutil.Process(pid).cmdline()[-2:]))
        except psutil.NoSuchProcess:
            continue
    return sorted(found)


def _wait_for(group, count: int) -> None:
    poll.until(
        lambda: None if len(_names(group)) == count and "sleep 4712" in _names(group) else str(_names(group)),
        why="All run",
        seconds=10,
        pause=0.01,
    )


def test_what_holds_servers_outlives_its_manager(group, tmp_path):
    with grounds.inside(group, str(tmp_path / "manager"), str(tmp_path)) as manager:
        _wait_for(group, 4)
        os.kill(manager.pid, signal.SIGKILL)  # as a supervisor that was killed leaves it
        manager.wait()
        assert processes.end_unsupervised(group, outlives=("the-shim",)) == 1
        left = _names(group)
        assert len(left) == 2
        assert left[0].endswith("the-shim")
        assert left[1] == "sleep 4712"
        assert processes.end_unsupervised(group, outlives=("the-shim",)) == 0
        assert processes.end_unsupervised(group, outlives=()) == 2
        assert _names(group) == []


def test_one_that_does_not_listen_is_killed(group):
    with grounds.inside(group, "sh", "-c", "trap '' TERM; while :; do sleep 0.01; done") as deaf:
        poll.until(lambda: None if _is_deaf(deaf.pid) else "not yet", why="It is deaf", seconds=5, pause=0.01)
        began = time.monotonic()
        assert processes.end_unsupervised(group, outlives=(), seconds=0.5) >= 1
        assert time.monotonic() - began < 5
        deaf.wait(5)
        assert _names(group) == []


def _is_deaf(pid: int) -> bool:
    status = Path(f"/proc/{pid}/status").read_text().splitlines()
    ignored = next(int(line.split()[1], 16) for line in status if line.startswith("SigIgn:"))
    return bool(ignored >> (signal.SIGTERM - 1) & 1)


def test_a_group_that_is_not_there_has_nobody(group):
    assert processes.end_unsupervised(group / "nowhere", outlives=()) == 0
