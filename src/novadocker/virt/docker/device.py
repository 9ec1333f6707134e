# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""Which disk dockerd's storage is on, for limits of its I/O.

A control group limits I/O of a whole disk, by its number. Number and name are given anew when a machine
starts, and a container keeps for life what it was created with: so it is told a link of ours, which leads to
the disk of today.
"""

from pathlib import Path

LINK = "_storage"


def link(folder: Path, root_dir: str) -> Path | None:
    """Let a link in a folder of ours lead to the disk a daemon's storage is on; None where it is on none."""
    found = disk(root_dir, Path("/proc/self/mountinfo").read_text())
    place, new = folder / LINK, folder / f"{LINK}.new"
    if found is None:
        place.unlink(missing_ok=True)
        return None
    folder.mkdir(parents=True, exist_ok=True)
    new.unlink(missing_ok=True)
    new.symlink_to(found)
    new.rename(place)
    return place


def disk(root_dir: str, mountinfo: str, *, sys: Path = Path("/sys")) -> Path | None:
    """Return the whole disk that a folder is on; None where it is on no disk, or on one that is not told."""
    number = _number(root_dir, mountinfo, sys)
    entry = sys / "dev" / "block" / number
    if not number or not entry.exists():
        return None
    entry = entry.resolve()
    if (entry / "partition").exists():
        entry = entry.parent
    told = dict(line.split("=", 1) for line in (entry / "uevent").read_text().splitlines() if "=" in line)
    return Path("/dev") / told["DEVNAME"] if "DEVNAME" in told else None


def _number(root_dir: str, mountinfo: str, sys: Path) -> str:
    mounts = [line.split() for line in mountinfo.splitlines() if line]
    holding = [m for m in mounts if root_dir == m[4] or root_dir.startswith(m[4].rstrip("/") + "/")]
    if not holding:
        return ""
    # Of several mounts over one another the last is seen.
    best = max(enumerate(holding), key=lambda numbered: (len(numbered[1][4]), numbered[0]))[1]
    source = best[best.index("-") + 2]
    # btrfs has a made-up number of its own; its source is the disk.
    named = sys / "class" / "block" / Path(source).resolve().name / "dev"
    return named.read_text().strip() if source.startswith("/dev/") and named.exists() else best[2]
