# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""When each phase of a boot was over, joined from what the services wrote of it; pure."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from statistics import median
from typing import Any

from novadocker.host.evidence.model import Evidence
from novadocker.host.journal import Entry
from novadocker.host.why import gather, timeline
from novadocker.host.why.case import Case

# What `nova-docker why` calls it, and what it is here. In the order in which they mostly come.
_NAMES = {
    "scheduled": "scheduled",
    "claimed": "claimed",
    "port made": "port made",
    "port bound": "network allocated",
    "plugged": "plugged",
    "network ready, told to Nova": "vif event",
    "QEMU started, paused": "QEMU started",
}
# What the driver of containers tells of its own steps; see its `progress.py`.
_STEPS = {
    "image": "image",
    "sandbox": "sandbox",
    "container": "container",
    "network ready": "network ready",
    "started": "started",
}
ORDER = (
    "accepted", "scheduled", "claimed", "image", "sandbox", "container", "port made", "network allocated",
    "plugged", "network ready", "vif event", "QEMU started", "started", "ACTIVE", "answers",
)  # fmt: skip
_BUILT = re.compile(r"Built: (?P<took>[\d.]+) s, (?P<waited>[\d.]+) s of them [^(]*\((?P<moments>[^)]*)\)")
_MOMENT = re.compile(r"([a-z ]+) ([\d.]+)")
_SPAWNED = re.compile(r"Took (?P<seconds>[\d.]+) seconds to spawn the instance")


@dataclass(frozen=True, kw_only=True)
class Told:
    """What the services told of one boot.

    :ivar moments: by phase, the seconds from the API call until it was over.
    :ivar spawn: seconds the driver took, its waiting for ports included.
    :ivar own: seconds of them that were the driver's own; None where its driver does not say.
    """

    moments: Mapping[str, float] = field(default_factory=dict)
    spawn: float | None = None
    own: float | None = None


def told(
    entries: Iterable[Entry], *, server: str, request: str, asked: datetime, compute: str, libvirt: bool
) -> Told:
    """Read a boot out of the log.

    :param request: the id of the API's request that asked for the server.
    :param asked: when the API was called.
    :param compute: the service whose driver made it, by its name on this machine.
    """
    about = gather.about(entries, server=server, words=[request])
    seen = {"actions": [{"action": "create", "request": request}]}
    case = Case(id=server, seen=Evidence(seen), entries=about)
    moments = {
        _NAMES[name]: (at - asked).total_seconds() for name, at in timeline.milestones(case) if name in _NAMES
    }
    spawn = own = None
    for entry in about:
        if entry.service != compute or server not in entry.text:
            continue
        if built := _BUILT.search(entry.text):
            took = float(built["took"])
            own = took - float(built["waited"])
            began = (entry.time - asked).total_seconds() - took
            for name, at in _MOMENT.findall(built["moments"]):
                if name.strip() in _STEPS:
                    moments[_STEPS[name.strip()]] = began + float(at)
        elif spawned := _SPAWNED.search(entry.text):
            spawn = float(spawned["seconds"])
            if libvirt:
                moments["started"] = (entry.time - asked).total_seconds()
    return Told(moments=moments, spawn=spawn, own=own)


def spread(values: Sequence[float]) -> dict[str, float] | None:
    """The middle, the least and the greatest of some seconds; None of none."""
    if not values:
        return None
    return {"median": round(median(values), 3), "low": round(min(values), 3), "high": round(max(values), 3)}


def spreads(boots: Sequence[Mapping[str, float]]) -> dict[str, Any]:
    """The spread of each phase over several boots, in the order of phases."""
    return {
        phase: spread([boot[phase] for boot in boots if phase in boot])
        for phase in ORDER
        if any(phase in boot for boot in boots)
    }
