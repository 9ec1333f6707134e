# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""End a cloud's servers when its machine shuts down: `servers.py CLOUD GROUP`, the group that of its VMs.

Nova is no longer there to see it, and so starts them at the next boot. All are told at once, and killed after
a few seconds.
"""

import contextlib
import signal
import sys

import psutil

from novadocker import poll
from novadocker.host import cgroups

_SECONDS = 5.0
_MACHINE = "qemu-system-"


def end(cloud: str, machines: str, *, seconds: float = _SECONDS) -> int:
    """End containers and VMs; returns how many processes there were.

    :param machines: the control group of the daemon of VMs, below a hierarchy's root.
    :param seconds: that they have from SIGTERM to SIGKILL.
    """
    mounted = cgroups.hierarchies()
    containers = f"{cloud}/servers"

    def left() -> list[psutil.Process]:
        pids = {pid for mount in mounted.mounts for pid in cgroups.members(mount / containers)}
        found = [process for pid in pids if (process := _process(pid)) is not None]
        of_daemon = map(_process, cgroups.members(mounted.follow / machines))
        return found + [one for one in of_daemon if one is not None and _name(one).startswith(_MACHINE)]

    told = left()
    _tell(told, signal.SIGTERM)
    with contextlib.suppress(poll.NotInTime):
        poll.until(
            lambda: "some" if left() else None, why="The end of the servers", seconds=seconds, pause=0.1
        )
    _tell(left(), signal.SIGKILL)
    cgroups.kill(mounted, name=containers)
    return len(told)


def _process(pid: int) -> psutil.Process | None:
    try:
        return psutil.Process(pid)
    except psutil.NoSuchProcess:
        return None


def _name(process: psutil.Process) -> str:
    try:
        return str(process.name())
    except psutil.NoSuchProcess:
        return ""


def _tell(processes: list[psutil.Process], number: signal.Signals) -> None:
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.send_signal(number)


if __name__ == "__main__":
    print(f"{end(sys.argv[1], sys.argv[2])} processes of servers ended")
