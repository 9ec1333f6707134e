# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""Two hypervisors on one machine: what each keeps back so that together they offer no more than there is."""

from dataclasses import dataclass, field

from novadocker.errors import NovaDockerError


@dataclass(frozen=True, kw_only=True)
class Amounts:
    """Processors, MiB of memory, GiB of disk."""

    cpus: int
    memory_mb: int
    disk_gb: int


@dataclass(frozen=True, kw_only=True)
class Division:
    """Who keeps back what.

    :ivar containers: what containers may have.
    :ivar docker, libvirt: options for [DEFAULT] of each side's file; none where there is no libvirt.
    :ivar docker_set, libvirt_set: processors by number, where this host divides them so.
    """

    containers: Amounts
    docker: dict[str, int]
    libvirt: dict[str, int] = field(default_factory=dict)
    docker_set: str = ""
    libvirt_set: str = ""


def divide(
    *,
    machine: Amounts,
    kept: Amounts,
    wanted: Amounts,
    beside_libvirt: bool,
    disk_is_apart: bool,
    pool: frozenset[int] = frozenset(),
    pool_is_libvirt_s: bool = False,
) -> Division:
    """Give containers what is wanted, or half of what this host hands out now; all of it without libvirt.

    :param machine: what the machine has; of its disk, where containers are to lie.
    :param kept: what the host keeps back already.
    :param wanted: zero for what is not named.
    :param disk_is_apart: containers lie on a file system of just their share's size.
    :param pool: processors that servers of this host share, where it says so by number.
    :param pool_is_libvirt_s: libvirt hands these out now (else they are nobody's).
    :raises NovaDockerError: if more is wanted than there is.
    """
    cpus = len(pool) if pool else machine.cpus - kept.cpus
    most = Amounts(
        cpus=cpus, memory_mb=machine.memory_mb - kept.memory_mb, disk_gb=machine.disk_gb - kept.disk_gb
    )
    part = 2 if beside_libvirt else 1
    containers = Amounts(
        cpus=wanted.cpus or max(1, most.cpus // (part if pool_is_libvirt_s or not pool else 1)),
        memory_mb=wanted.memory_mb or most.memory_mb // part,
        disk_gb=wanted.disk_gb or most.disk_gb // (2 if disk_is_apart else part),
    )
    for name, asked, has in (
        ("--cpus", containers.cpus, most.cpus),
        ("--memory", containers.memory_mb, most.memory_mb),
        ("--disk", containers.disk_gb, most.disk_gb),
    ):
        if not 0 < asked <= has:
            raise NovaDockerError(
                f"There is not that much for containers: {name} {asked}.",
                facts=f"At most {has}, after what this host keeps back already.",
            )
    docker = {
        "reserved_host_cpus": 0 if pool else machine.cpus - containers.cpus,
        "reserved_host_memory_mb": machine.memory_mb - containers.memory_mb,
        "reserved_host_disk_mb": 0 if disk_is_apart else (machine.disk_gb - containers.disk_gb) * 1024,
    }
    libvirt = {
        "reserved_host_cpus": 0 if pool else kept.cpus + containers.cpus,
        "reserved_host_memory_mb": kept.memory_mb + containers.memory_mb,
        "reserved_host_disk_mb": (kept.disk_gb + containers.disk_gb) * 1024,
    }
    if pool:
        del libvirt["reserved_host_cpus"]
    theirs, mine = (sorted(pool)[: -containers.cpus], sorted(pool)[-containers.cpus :]) if pool else ([], [])
    return Division(
        containers=containers,
        docker=docker,
        libvirt=libvirt if beside_libvirt else {},
        docker_set=",".join(map(str, mine)),
        libvirt_set=",".join(map(str, theirs)) if pool_is_libvirt_s else "",
    )


def processors(text: str) -> frozenset[int]:
    """Take a set as Nova writes it: numbers, ranges, and `^` before what is left out.

    :raises NovaDockerError: if it is something else.
    Source: nova/virt/hardware.py, parse_cpu_spec.
    """
    given: set[int] = set()
    without: set[int] = set()
    try:
        for word in filter(None, (part.strip() for part in text.split(","))):
            first, _, last = word.removeprefix("^").partition("-")
            (without if word.startswith("^") else given).update(range(int(first), int(last or first) + 1))
    except ValueError as error:
        raise NovaDockerError(f"{text} is no set of processors.", facts=str(error)) from error
    return frozenset(given - without)
