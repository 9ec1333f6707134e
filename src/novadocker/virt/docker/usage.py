# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""What a process's control groups have used, read from the kernel.

Docker has these figures too, from the same files; but what it reads them with knows fewer layouts of control
groups than there are, and answers with zeros then.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class Usage:
    """What a container's processes have used.

    :ivar cpu_time: nanoseconds, of all processors together.
    :ivar memory: bytes, without the page cache that could be given back at once.
    :ivar reads, writes: of disks; requests and bytes.
    """

    cpu_time: int
    memory: int
    reads: tuple[int, int]
    writes: tuple[int, int]


def usage(pid: int, *, proc: Path = Path("/proc")) -> Usage:
    """Return what the control groups of a process have used so far; raises OSError when it has ended."""
    groups = _groups((proc / str(pid) / "cgroup").read_text(), (proc / "self/mountinfo").read_text())
    return _hierarchies(groups) if "memory" in groups else _unified(groups[""])


def _groups(text: str, mountinfo: str) -> dict[str, Path]:
    """Return the folder of each controller's group; that of the one hierarchy of version 2 has no name."""
    inside: dict[str, str] = {}
    for line in text.splitlines():
        _, controllers, path = line.split(":", 2)
        inside |= dict.fromkeys(controllers.split(","), path)
    found = {}
    for line in mountinfo.splitlines():
        left, right = line.split(" - ")
        root, point = left.split()[3:5]
        kind, _, options = right.split()[:3]
        for controller in options.split(",") if kind == "cgroup" else [""] if kind == "cgroup2" else []:
            if controller in inside:
                path = inside[controller].removeprefix(root.rstrip("/"))
                found[controller] = Path(point) / path.lstrip("/")
    return found


def _hierarchies(groups: dict[str, Path]) -> Usage:
    bytes_, requests = (
        [line.split() for line in _lines(groups["blkio"] / f"blkio.throttle.{name}_recursive")]
        for name in ("io_service_bytes", "io_serviced")
    )

    def disk(operation: str) -> tuple[int, int]:
        requested, moved = (
            sum(int(words[2]) for words in counted if len(words) == 3 and words[1] == operation)
            for counted in (requests, bytes_)
        )
        return requested, moved

    return Usage(
        cpu_time=int((groups["cpuacct"] / "cpuacct.usage").read_text()),
        memory=_without_cache(groups["memory"] / "memory.usage_in_bytes", "total_inactive_file"),
        reads=disk("Read"),
        writes=disk("Write"),
    )


def _unified(group: Path) -> Usage:
    devices = [
        dict(word.split("=") for word in line.split()[1:] if "=" in word)
        for line in _lines(group / "io.stat")
    ]

    def disk(letter: str) -> tuple[int, int]:
        requested, moved = (
            sum(int(one.get(f"{letter}{what}", 0)) for one in devices) for what in ("ios", "bytes")
        )
        return requested, moved

    return Usage(
        cpu_time=1000 * _value(_lines(group / "cpu.stat"), "usage_usec"),
        memory=_without_cache(group / "memory.current", "inactive_file"),
        reads=disk("r"),
        writes=disk("w"),
    )


def _without_cache(used: Path, cache: str) -> int:
    return max(int(used.read_text()) - _value(_lines(used.parent / "memory.stat"), cache), 0)


def _lines(file: Path) -> list[str]:
    """Return a file's lines; none where the kernel does not keep it."""
    return file.read_text().splitlines() if file.exists() else []


def _value(lines: Iterable[str], key: str) -> int:
    return next((int(words[1]) for words in map(str.split, lines) if words[0] == key), 0)
