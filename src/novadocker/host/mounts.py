# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""Mounts and loop devices below the cloud's folders: the only ones that are ours."""

import re
from pathlib import Path

from novadocker import run

MOUNTINFO = Path("/proc/self/mountinfo")
_OCTAL = re.compile(r"\\([0-7]{3})")


def below(folder: Path, *, listed: Path | None = None) -> list[Path]:
    """Mount points at or below `folder`, deepest and newest first, without those that no path leads to.

    :param listed: the list of another process (proc_pid_mountinfo(5)) in place of this one's.
    """
    found = []
    covered: set[str] = set()
    points: dict[str, list[tuple[str, Path]]] = {}
    for line in (listed or MOUNTINFO).read_text(errors="surrogateescape").splitlines():
        number, parent, _, _, written = line.split()[:5]
        # Spaces and the like are written as octal numbers (proc_pid_mountinfo(5)); no other backslash occurs.
        path = Path(_OCTAL.sub(lambda number: chr(int(number[1], 8)), written))
        points.setdefault(parent, []).append((number, path))
        if path == folder or folder in path.parents:
            found.append((number, path))
    for siblings in points.values():
        # Of two in the same mount, one above the other's place came later, and hides it.
        hiding = {path for _, path in siblings}
        covered |= {number for number, path in siblings if hiding & set(path.parents)}
    while more := {number for parent in covered for number, _ in points.get(parent, [])} - covered:
        covered |= more
    seen = [path for number, path in found if number not in covered]
    return sorted(reversed(seen), key=lambda path: len(path.parts), reverse=True)


def is_mounted(folder: Path) -> bool:
    """Whether something is mounted on `folder` itself."""
    return folder in below(folder)


def unmount_below(folder: Path) -> int:
    """Unmount all at or below `folder` (what is busy goes for good later); returns how many."""
    count = 0
    while points := below(folder):  # what goes may uncover others
        for point in points:
            if run.run(["umount", point], check=False).code != 0:
                run.run(["umount", "--lazy", point])
        count += len(points)
    return count


def loops_on(folder: Path) -> list[str]:
    """Loop devices whose file lies (or lay) below `folder`."""
    found = []
    for backing in Path("/sys/block").glob("loop*/loop/backing_file"):
        file = Path(backing.read_text().strip().removesuffix(" (deleted)"))
        if folder in file.parents:
            found.append(f"/dev/{backing.parent.parent.name}")
    return found


def detach_loops(folder: Path) -> int:
    """Detach the loop devices on files below `folder`; returns how many there were."""
    devices = loops_on(folder)
    for device in devices:
        run.run(["losetup", "--detach", device], check=False)
    return len(devices)
