# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""What the cloud weighs: each service's memory and processor time, and the memory of the machine."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from novadocker.host import cgroups
from novadocker.host.services import registry
from novadocker.host.services.model import Cloud
from novadocker.host.supervise import choice

MIB = 1024 * 1024
SERVERS, HOLDERS = "servers", "holders"


@dataclass(frozen=True, kw_only=True)
class Weight:
    """At one moment.

    :ivar pss: bytes by service; what holds servers (QEMU, containers' shims) and what runs in them are
        apart, as `holders` and `servers`.
    :ivar taken: bytes of the machine's memory that are not available.
    """

    pss: Mapping[str, int]
    taken: int

    @property
    def control_plane(self) -> int:
        """Bytes of all services together."""
        return sum(size for name, size in self.pss.items() if name not in (SERVERS, HOLDERS))


@dataclass(frozen=True)
class Times:
    """Processor seconds each service has had; those of processes that ended are with who waited for them."""

    at: float
    seconds: Mapping[str, float] = field(default_factory=dict)

    def until(self, later: "Times") -> dict[str, float]:
        """Seconds each service has had since, without those that had none."""
        spent = {name: after - self.seconds.get(name, 0.0) for name, after in later.seconds.items()}
        return {name: value for name, value in spent.items() if value > 0.004}

    def plus(self, began: "Times", ended: "Times") -> "Times":
        """These, and what each service had between two moments: what none of the two counts is kept, too."""
        more = {name: after - began.seconds.get(name, 0.0) for name, after in ended.seconds.items()}
        names = {*self.seconds, *more}
        seconds = {name: self.seconds.get(name, 0.0) + more.get(name, 0.0) for name in names}
        return Times(self.at + ended.at - began.at, seconds)


def used_by(group: Path) -> float | None:
    """Processor seconds of all that is or was in a group; None where its hierarchy does not count them."""
    try:
        lines = (group / "cpu.stat").read_text().splitlines()
    except FileNotFoundError:
        return None
    figures = dict(line.split() for line in lines)
    return int(figures["usage_usec"]) / 1_000_000 if "usage_usec" in figures else None


def of_a_server(before: Weight, with_servers: Weight, count: int) -> dict[str, Any]:
    """What each of some idle servers weighs, in MiB; pure.

    `server_own_mib` is that of its own processes, `server_mib` what all of the cloud has grown by beyond
    that, and `server_machine_mib` what the machine has less of, for whichever reason.
    """
    own = with_servers.pss.get(SERVERS, 0) - before.pss.get(SERVERS, 0)
    grown = {
        name: round((size - before.pss.get(name, 0)) / count / MIB, 2)
        for name, size in with_servers.pss.items()
        if abs(size - before.pss.get(name, 0)) > MIB
    }
    all_pss = sum(with_servers.pss.values()) - sum(before.pss.values())
    return {
        "servers": count,
        "server_own_mib": round(own / count / MIB, 2),
        "server_mib": round((all_pss - own) / count / MIB, 2),
        "server_machine_mib": round((with_servers.taken - before.taken) / count / MIB, 2),
        "server_by_service_mib": dict(sorted(grown.items(), key=lambda item: -item[1])),
    }


def percents(shares: Mapping[str, float]) -> dict[str, float]:
    """Shares of one core in percent, the greatest first; pure."""
    return {name: round(100 * share, 2) for name, share in sorted(shares.items(), key=lambda item: -item[1])}


class Scales:
    """Looks at the processes of a cloud by their control groups."""

    def __init__(self, cloud: Cloud) -> None:
        services = registry.services(cloud)
        self._groups: dict[str, Path] = dict(choice.of(cloud, services).groups)
        self._holders = {name for service in services.values() for name in service.outlives}
        mounts = cgroups.hierarchies().mounts
        self._servers = [mount / cloud.config.name / "servers" for mount in mounts]

    def weigh(self) -> Weight:
        """Proportional set sizes, from smaps_rollup of every process."""
        pss = self._sum(lambda process: process.memory_full_info().pss, apart=True)
        memory = psutil.virtual_memory()
        return Weight(
            pss={name: int(size) for name, size in pss.items()}, taken=memory.total - memory.available
        )

    def times(self) -> Times:
        """Processor times so far: the kernel's own count of each group, where it keeps one.

        Else those of the processes, with what they have waited for. What none of them waited for, as runc,
        is then with the supervisor: the subreaper is in its group.
        """
        counted = {name: used for name, group in self._groups.items() if (used := used_by(group)) is not None}
        if len(counted) < len(self._groups):
            counted = self._sum(lambda process: sum(process.cpu_times()[:4]), apart=False)
        return Times(time.monotonic(), counted)

    def idle(self, seconds: float) -> dict[str, float]:
        """Processor time by service while nothing is asked of the cloud, as a share of one core."""
        before = self.times()
        time.sleep(seconds)
        after = self.times()
        return {name: spent / (after.at - before.at) for name, spent in before.until(after).items()}

    def descriptors(self) -> dict[str, int]:
        """Open files by service."""
        return self._count(lambda process: process.num_fds())

    def threads(self) -> dict[str, int]:
        """Threads by service."""
        return self._count(lambda process: process.num_threads())

    def pids(self) -> set[int]:
        """All processes of the cloud, those of its servers among them."""
        groups = (*self._groups.values(), *self._servers)
        return {pid for group in groups for pid in cgroups.members(group)}

    def _count(self, ask: Callable[[psutil.Process], int]) -> dict[str, int]:
        return {name: int(count) for name, count in self._sum(ask, apart=True).items()}

    def _sum(self, ask: Callable[[psutil.Process], float], *, apart: bool) -> dict[str, float]:
        found: dict[str, float] = {}
        # Where dockerd moves containers in some hierarchies only, they stay in its own group in the others.
        inside = {pid for group in self._servers for pid in cgroups.members(group)}
        members = {name: cgroups.members(group) - inside for name, group in self._groups.items()}
        for name, pids in (*members.items(), (SERVERS, inside)):
            for pid in pids:
                try:
                    process = psutil.Process(pid)
                    holds = apart and name != SERVERS and process.name() in self._holders
                    kind = HOLDERS if holds else name
                    found[kind] = found.get(kind, 0.0) + ask(process)
                except psutil.Error:
                    continue  # it ended meanwhile
        return found
