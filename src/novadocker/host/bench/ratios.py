# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""What two figures of one run, or the same figure of two runs, are to one another; pure.

The machine is shared and noisy: seconds differ from day to day, ratios within one run hardly do.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

# Words of a table, and where the figure stands in a report.
FIGURES: tuple[tuple[str, str], ...] = (
    ("container, ACTIVE", "containers.one.phases.ACTIVE.median"),
    ("container, the driver's own share", "containers.one.own.median"),
    ("container, gone", "containers.one.gone.median"),
    ("container, processor seconds", "containers.one.processor.seconds_a_server"),
    ("containers at once, last accepted", "containers.at_once.last.accepted"),
    ("containers at once, last ACTIVE", "containers.at_once.last.ACTIVE"),
    ("containers at once, last gone", "containers.at_once.last.gone"),
    ("containers at once, processor seconds each", "containers.at_once.processor.seconds_a_server"),
    ("VM, ACTIVE", "vms.one.phases.ACTIVE.median"),
    ("VM, answers", "vms.one.phases.answers.median"),
    ("VM, gone", "vms.one.gone.median"),
    ("VMs at once, last ACTIVE", "vms.at_once.last.ACTIVE"),
    ("VMs at once, last gone", "vms.at_once.last.gone"),
    ("docker create and start", "docker.one.started.median"),
    ("docker at once, last started", "docker.at_once.last.started"),
    ("virsh define and start", "virsh.one.started.median"),
    ("nothing, ACTIVE", "nothing.one.phases.ACTIVE.median"),
    ("nothing, gone", "nothing.one.gone.median"),
    ("nothing at once, last accepted", "nothing.at_once.last.accepted"),
    ("nothing at once, last ACTIVE", "nothing.at_once.last.ACTIVE"),
    ("nothing at once, last gone", "nothing.at_once.last.gone"),
    ("control plane, MiB (PSS)", "weight.control_plane_mib"),
    ("control plane, idle, % of a core", "weight.idle_percent"),
    ("a server beyond its own processes, MiB", "weight.server_mib"),
    ("soak, servers", "soak.count"),
    ("soak, failures", "soak.failures"),
    ("soak, seconds", "soak.seconds"),
    ("soak, MiB (PSS) more after 100 servers", "soak.growth.pss_mib.all.per_100"),
    ("soak, open files more after 100 servers", "soak.growth.descriptors.all.per_100"),
    ("soak, bytes of logs a server", "soak.logs.bytes_a_server"),
    ("idle servers", "idle.count"),
    ("idle servers, last ACTIVE", "idle.last.ACTIVE"),
    ("idle servers, last gone", "idle.last.gone"),
    ("idle servers, each beyond its own processes, MiB", "idle.memory.server_mib"),
    ("idle servers, all of the cloud, % of a core", "idle.idle_percent"),
    ("the same before them, % of a core", "idle.idle_before_percent"),
    ("idle servers that answered", "idle.answered"),
    ("up, first time", "cycle.up"),
    ("up, nothing to do", "cycle.look"),
    ("down, data kept", "cycle.down_keep_data"),
    ("up again", "cycle.up_again"),
    ("down", "cycle.down"),
)


@dataclass(frozen=True)
class Ratio:
    """One figure over another.

    :ivar target: what it, or the figure itself, should be at most; None without one.
    """

    name: str
    over: str
    under: str
    target: float | None = None


RATIOS = (
    Ratio("container / nothing", "containers.one.phases.ACTIVE.median",
          "nothing.one.phases.ACTIVE.median", 1.3),
    Ratio("driver's own share / docker create and start", "containers.one.own.median",
          "docker.one.started.median", 2.0),
    Ratio("containers at once / nothing at once", "containers.at_once.last.ACTIVE",
          "nothing.at_once.last.ACTIVE", 1.25),
    Ratio("container / docker create and start", "containers.one.phases.ACTIVE.median",
          "docker.one.started.median"),
    Ratio("containers at once / docker at once", "containers.at_once.last.ACTIVE",
          "docker.at_once.last.started"),
    Ratio("VM / nothing", "vms.one.phases.ACTIVE.median", "nothing.one.phases.ACTIVE.median"),
    Ratio("VM / virsh define and start", "vms.one.phases.ACTIVE.median", "virsh.one.started.median"),
)  # fmt: skip


@dataclass(frozen=True)
class Compared:
    """A figure before and now; `ratio` is now over before."""

    name: str
    before: float
    now: float
    ratio: float | None


def at(report: Mapping[str, Any], path: str) -> float | None:
    """The figure at a path of names; None where the report has none."""
    found: Any = report
    for name in path.split("."):
        found = found.get(name) if isinstance(found, Mapping) else None
    return float(found) if isinstance(found, int | float) and not isinstance(found, bool) else None


def figures(report: Mapping[str, Any]) -> dict[str, float]:
    """The figures a report has, by the words of the table."""
    return {name: value for name, path in FIGURES if (value := at(report, path)) is not None}


def within(report: Mapping[str, Any]) -> dict[str, dict[str, float | None]]:
    """The ratios within one run, each with its target."""
    found: dict[str, dict[str, float | None]] = {}
    for ratio in RATIOS:
        over, under = at(report, ratio.over), at(report, ratio.under)
        if over is not None and under:
            found[ratio.name] = {"ratio": round(over / under, 2), "target": ratio.target}
    return found


def compared(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[Compared]:
    """The figures that both reports have."""
    old, new = figures(before), figures(now)
    return [
        Compared(name, old[name], value, value / old[name] if old[name] else None)
        for name, value in new.items()
        if name in old
    ]


def unlike(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """What of the two runs differs so that their figures cannot be compared plainly."""
    pairs = {
        "processors": "machine.cpus",
        "memory, MiB": "machine.memory_mib",
        "servers at once": "options.at_once",
        "servers of soak": "soak.count",
        "servers of soak at once": "soak.at_once",
        "idle servers": "idle.count",
    }
    return [
        f"{name}: {at(before, path):g} then, {at(now, path):g} now"
        for name, path in pairs.items()
        if at(before, path) is not None and at(now, path) is not None and at(before, path) != at(now, path)
    ]
