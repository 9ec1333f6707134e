# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""Control groups: every process of the cloud is in one below `/<cloud>`, and so can be found and ended."""

import os
import signal
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from novadocker import poll
from novadocker.errors import NovaDockerError

# In the order of preference for following processes: the unified hierarchy ends a whole group at once
# (cgroup.kill, kernel 5.14), the others have no side effects on those within.
_V1_FOLLOWERS = ("pids", "freezer", "cpuacct")


@dataclass(frozen=True)
class Hierarchies:
    """Where control groups are mounted; `follow` is the one that tells our processes from others."""

    mounts: tuple[Path, ...]
    follow: Path


@dataclass(frozen=True)
class Hierarchy:
    """One that is mounted.

    :ivar kind: `cgroup2` for the unified one, `cgroup` for one of the first version.
    """

    kind: str
    place: Path
    writable: bool


def mounted() -> tuple[Hierarchy, ...]:
    """The mounted hierarchies, in the order they were mounted in."""
    found = []
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        before, _, after = line.partition(" - ")
        kind, place = after.split()[0], Path(before.split()[4])
        if kind in ("cgroup", "cgroup2"):
            writable = os.access(place, os.W_OK) and not os.statvfs(place).f_flag & os.ST_RDONLY
            found.append(Hierarchy(kind, place, writable))
    return tuple(found)


def hierarchies() -> Hierarchies:
    """Find the mounted hierarchies.

    :raises NovaDockerError: if there is none in which we may make a group: dockerd could not work either.
    """
    found = mounted()
    unified = [each for each in found if each.kind == "cgroup2"]
    first_version = [each for each in found if each.kind == "cgroup"]
    followers = [
        *unified,
        *(each for name in _V1_FOLLOWERS for each in first_version if each.place.name == name),
    ]
    places = tuple(dict.fromkeys(each.place for each in unified + first_version))
    for each in followers:
        if each.writable:
            return Hierarchies(mounts=places, follow=each.place)
    raise NovaDockerError(
        "There are no control groups to write to on this machine.",
        facts="neither cgroup2 nor the pids, freezer or cpuacct hierarchy is mounted writable",
        hint="Mount them (in a container: run it privileged, with a writable cgroup2).",
    )


def members(group: Path) -> set[int]:
    """The processes in `group` and below."""
    found: set[int] = set()
    # It passes over what goes meanwhile, as a container's group does with its last process.
    for folder, _, _ in os.walk(group):
        try:
            found.update(int(pid) for pid in Path(folder, "cgroup.procs").read_text().split())
        except (FileNotFoundError, OSError):
            continue  # it went, or is a threaded group: nothing in it to name
    return found


def kill(mounted: Hierarchies, *, name: str, seconds: float = 10) -> int:
    """End every process in the groups `name` of all hierarchies, at once; returns how many there were.

    :raises novadocker.poll.NotInTime: if some are still there after `seconds` (a process in uninterruptible
        sleep).
    """
    groups = [mount / name for mount in mounted.mounts if (mount / name).is_dir()]
    mine = os.getpid()

    def left() -> set[int]:
        return {pid for group in groups for pid in members(group) if pid != mine}

    count = len(left())

    def still_there() -> str | None:
        remaining = left()
        for group in groups:
            if (group / "cgroup.kill").exists():
                (group / "cgroup.kill").write_text("1")
        for pid in remaining:
            _signal(pid, signal.SIGKILL)
        # The first version's freezer keeps even a killed process from its end (freezer-subsystem.txt): a
        # paused server is such a one.
        for group in groups if remaining else []:
            _thaw(group)
        return f"processes {sorted(remaining)}" if remaining else None

    poll.until(still_there, why=f"The end of the processes of {name}", seconds=seconds, pause=0.02)
    return count


def claim(mounted: Hierarchies, *, name: str) -> int:
    """Move this process, and so its children to come, into the group; returns how many it ended there.

    A killed process leaves its children behind (a half-done migration, say), which would work against the
    next one.
    """
    ended = kill(mounted, name=name)
    group = mounted.follow / name
    group.mkdir(parents=True, exist_ok=True)
    (group / "cgroup.procs").write_text(str(os.getpid()))
    return ended


def remove(mounted: Hierarchies, *, name: str) -> bool:
    """Remove the (empty) groups `name` of all hierarchies; say whether there were any."""
    removed = False
    for mount in mounted.mounts:
        group = mount / name
        if not group.is_dir():
            continue
        poll.until(partial(_prune, group), why=f"The removal of {group}", seconds=10, pause=0.02)
        removed = True
    return removed


def _prune(group: Path) -> str | None:
    # A killed process stays in its group until it is reaped, and a group with a process stays.
    try:
        for folder in sorted((path for path in group.rglob("*") if path.is_dir()), reverse=True):
            folder.rmdir()
        group.rmdir()
    except OSError as error:
        return str(error)
    return None


def _signal(pid: int, number: int) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return


def _thaw(group: Path) -> None:
    for freezer in group.rglob("freezer.state"):
        try:
            if freezer.read_text().strip() != "THAWED":
                freezer.write_text("THAWED")
        except FileNotFoundError:
            continue  # the group went with its last process
