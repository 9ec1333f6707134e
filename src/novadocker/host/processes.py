# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""Processes of a service that nobody supervises any more."""

from collections.abc import Iterable
from pathlib import Path

import psutil

from novadocker import poll
from novadocker.host import cgroups


def end_unsupervised(group: Path, *, outlives: Iterable[str], seconds: float = 10) -> int:
    """End what is left in a service's control group, sparing what holds servers; returns how many ended.

    Left behind when the supervisor itself was killed. A shim or a QEMU named in `outlives`, and all below it,
    stays: a server does not end because its manager did.

    :param seconds: after which those that were told to end are killed.
    :raises novadocker.poll.NotInTime: if some are still there then (a process in uninterruptible sleep).
    """
    names = set(outlives)
    ended: set[int] = set()

    def left(*, kill: bool) -> str | None:
        # Looked up anew each time: one that does not listen may have started others meanwhile. The group is
        # asked, since an ended process that nobody reaps still has its pid.
        found = _unsupervised(group, spared=names)
        for process in found:
            if kill or process.pid not in ended:
                _tell(process, kill=kill)
            ended.add(process.pid)
        return f"processes {sorted(process.pid for process in found)}" if found else None

    why = f"The end of what is left in {group}"
    try:
        poll.until(lambda: left(kill=False), why=why, seconds=seconds, pause=0.02)
    except poll.NotInTime:
        poll.until(lambda: left(kill=True), why=why, seconds=seconds, pause=0.02)
    return len(ended)


def _unsupervised(group: Path, *, spared: set[str]) -> list[psutil.Process]:
    found = []
    for pid in cgroups.members(group):
        try:
            process = psutil.Process(pid)
            if not {relative.name() for relative in (process, *process.parents())} & spared:
                found.append(process)
        except psutil.NoSuchProcess:
            continue
    return found


def _tell(process: psutil.Process, *, kill: bool) -> None:
    try:
        process.kill() if kill else process.terminate()
    except psutil.NoSuchProcess:
        return
