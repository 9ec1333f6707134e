# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""Processes that are held still for a moment."""

import os
import signal
from collections.abc import Iterator, Set
from contextlib import contextmanager
from pathlib import Path

from novadocker import poll, run


@contextmanager
def held(pids: Set[int]) -> Iterator[None]:
    """Stop the processes during the block: what they write is written or not begun.

    They go on afterwards; also if this process is killed meanwhile.
    """
    if not pids:
        yield
        return
    with run.whatever_happens(["kill", "-CONT", *map(str, sorted(pids))]):
        for pid in pids:
            try:
                os.kill(pid, signal.SIGSTOP)
            except ProcessLookupError:
                continue
        # A thread within a call to the kernel comes to its end first.
        poll.until(lambda: _moving(pids), why="The databases' standstill", seconds=10, pause=0.002)
        yield


def _moving(pids: Set[int]) -> str | None:
    for pid in pids:
        for status in Path(f"/proc/{pid}/task").glob("*/stat"):
            try:
                state = status.read_text().rpartition(")")[2].split()[0]
            except (FileNotFoundError, ProcessLookupError):
                continue
            if state not in "TtZX":
                return f"a thread of process {pid} is in state {state}"
    return None
