# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""Processes of a service that nobody supervises any more."""

from collections.abc import Iterable
from pathlib import Path

import psutil

from novadocker.host import cgroups


def end_unsupervised(group: Path, *, outlives: Iterable[str], seconds: float = 10) -> int:
    """End what is left in a service's control group, sparing what holds servers; returns how many ended.

    Left behind when the supervisor itself was killed. A shim or a QEMU named in `outlives`, and all below it,
    stays: a server does not end because its manager did.
    """
    names = set(outlives)
    doomed = []
    for pid in cgroups.members(group):
        try:
            process = psutil.Process(pid)
            if not {relative.name() for relative in (process, *process.parents())} & names:
                doomed.append(process)
        except psutil.NoSuchProcess:
            continue
    for process in doomed:
        try:
            process.terminate()
        except psutil.NoSuchProcess:
            continue
    _, stubborn = psutil.wait_procs(doomed, timeout=seconds)
    for process in stubborn:
        try:
            process.kill()
        except psutil.NoSuchProcess:
            continue
    psutil.wait_procs(stubborn, timeout=seconds)
    return len(doomed)
