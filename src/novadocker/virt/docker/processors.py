# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""Which processors are whose: one server's alone, or shared by those that have none of their own."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from novadocker.virt.docker.errors import ConfigurationError

_SYSTEM = Path("/sys/devices/system")


@dataclass(frozen=True, kw_only=True)
class Node:
    """A NUMA node: its processors, the sets of them that are threads of one core, and its memory."""

    id: int
    cpus: frozenset[int]
    cores: tuple[frozenset[int], ...]
    memory_mb: int


@dataclass(frozen=True, kw_only=True)
class Processors:
    """The processors of this host that servers may have.

    :ivar dedicated: those handed out one by one; empty where no server can have one of its own.
    :ivar shared: those of all other servers.
    :ivar divided: whether the configuration says so; else every server may run on every processor.
    """

    dedicated: frozenset[int] = frozenset()
    shared: frozenset[int] = frozenset()
    divided: bool = False


def divide(
    *, online: frozenset[int], dedicated: set[int] | None, shared: set[int] | None, reserved: int
) -> Processors:
    """Return what `[compute] cpu_dedicated_set` and `cpu_shared_set` say, as the libvirt driver reads them.

    :raises: ConfigurationError
    """
    if not dedicated and not shared:
        return Processors(shared=online)
    ours, others = frozenset(dedicated or ()), frozenset(shared or ())
    if ours & others:
        raise ConfigurationError(
            "[compute] cpu_dedicated_set and cpu_shared_set have processors in common.",
            facts=f"Both name {listed(ours & others)}.",
        )
    if not (ours | others) <= online:
        raise ConfigurationError(
            "[compute] cpu_dedicated_set or cpu_shared_set names processors that are not there.",
            facts=f"{listed((ours | others) - online)} are not among {listed(online)}.",
        )
    if reserved:
        raise ConfigurationError(
            "reserved_host_cpus cannot stand beside [compute] cpu_dedicated_set or cpu_shared_set.",
            hint="Leave the host's processors out of the sets instead.",
        )
    return Processors(dedicated=ours, shared=others, divided=True)


def check_apart(ours: Processors, *, neighbour: str, theirs: Iterable[int]) -> None:
    """Refuse processors that another hypervisor of this machine may use too.

    :raises: ConfigurationError
    """
    common = ours.dedicated & frozenset(theirs)
    if common:
        raise ConfigurationError(
            f"[compute] cpu_dedicated_set names processors that {neighbour} uses too.",
            facts=f"Both have {listed(common)}.",
            hint=f"Give {neighbour} a cpu_shared_set and cpu_dedicated_set without them; start it first.",
        )


def online(system: Path = _SYSTEM) -> frozenset[int]:
    """Return the processors that the kernel runs on."""
    return _numbers((system / "cpu" / "online").read_text())


def nodes(system: Path = _SYSTEM) -> list[Node]:
    """Return the machine's NUMA nodes."""
    found = []
    for place in sorted((system / "node").glob("node[0-9]*"), key=lambda one: int(one.name[4:])):
        cpus = _numbers((place / "cpulist").read_text()) & online(system)
        total = next(line for line in (place / "meminfo").read_text().splitlines() if "MemTotal:" in line)
        cores = {_siblings(system, cpu) & cpus for cpu in cpus}
        found.append(
            Node(
                id=int(place.name[4:]),
                cpus=cpus,
                cores=tuple(sorted(cores, key=min)),
                memory_mb=int(total.split()[-2]) // 1024,
            )
        )
    return found


def listed(cpus: Iterable[int]) -> str:
    """Return processors as control groups and the kernel list them."""
    return ",".join(map(str, sorted(cpus)))


def _siblings(system: Path, cpu: int) -> frozenset[int]:
    return _numbers((system / "cpu" / f"cpu{cpu}" / "topology" / "thread_siblings_list").read_text()) | {cpu}


def _numbers(text: str) -> frozenset[int]:
    found: set[int] = set()
    for part in text.strip().split(","):
        if part:
            first, _, last = part.partition("-")
            found |= set(range(int(first), int(last or first) + 1))
    return frozenset(found)
