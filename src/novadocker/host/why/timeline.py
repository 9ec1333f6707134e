# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""How a server was built, phase by phase, as far as the logs tell."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from novadocker.host.journal import Entry
from novadocker.host.why.case import Case

_TOOK = re.compile(r"(?:time: |Took )(?P<seconds>[\d.]+)")


@dataclass(frozen=True, kw_only=True)
class Phase:
    """Something that was done by then.

    :ivar at: seconds since the server was asked for.
    :ivar who: the service whose log says so.
    """

    name: str
    at: float
    who: str
    note: str = ""


def _no_note(_: Entry) -> str:
    return ""


def _rest(pattern: str) -> Callable[[Entry], str]:
    def note(entry: Entry) -> str:
        found = re.search(pattern, entry.text)
        return found[1] if found else ""

    return note


# In the order in which they come, which is also how ties are told; (name, service, words, note).
_PHASES: tuple[tuple[str, str, str, Callable[[Entry], str]], ...] = (
    ("accepted", "nova-api", r'"POST /v2\.1/servers"', _no_note),
    ("scheduled", "placement", r'"PUT /allocations/', _no_note),
    ("claimed", "", r"Claim successful on node (\S+)", _rest(r"on node (\S+)")),
    ("image loaded", "nova-docker", r"Loaded image", _no_note),
    ("disk being made", "nova-libvirt", r"Creating image\(s\)", _no_note),
    ("port made", "neutron", r"\(type: ports\) to 1$", _no_note),
    ("port bound", "neutron", r"\(type: ports\) to [2-9]", _no_note),
    ("plugged", "", r"Successfully plugged vif", _no_note),
    ("QEMU started, paused", "nova-libvirt", r"VM Started \(Lifecycle", _no_note),
    ("network ready, told to Nova", "nova-api", r"Creating event network-vif-plugged", _no_note),
    ("process started", "nova-docker", r"Built: ", _rest(r"Built: (.*)")),
    ("VM runs", "nova-libvirt", r"Instance spawned successfully", _no_note),
    ("ACTIVE", "", r"Took [\d.]+ seconds to build instance", _no_note),
    ("failed", "", r"Instance failed to spawn|Failed to schedule instances", _no_note),
    ("set to ERROR", "", r"Setting instance to ERROR state", _no_note),
)


def phases(case: Case) -> list[Phase]:
    """The phases of its first boot that the logs tell of, in order of time."""
    start = _asked(case)
    if start is None:
        return []
    told, latest = _told(case), start + timedelta(hours=1)
    end = min(latest, next((entry.time for name, entry, _ in told if name == "ACTIVE"), latest))
    return [
        Phase(name=name, at=max((entry.time - start).total_seconds(), 0), who=entry.service, note=note)
        for name, entry, note in told
        if entry.time <= end
    ]


def milestones(case: Case) -> list[tuple[str, datetime]]:
    """The phases that the logs tell of, and what came after them, each with its moment."""
    return [(name, entry.time) for name, entry, _ in _told(case)]


def _told(case: Case) -> list[tuple[str, Entry, str]]:
    found: list[tuple[datetime, int, tuple[str, Entry, str]]] = []
    for rank, (name, service, words, note) in enumerate(_PHASES):
        entry = next(
            (
                each
                for each in case.entries
                if (not service or each.service == service)
                and re.search(words, each.text)
                and _own(case, each, name)
            ),
            None,
        )
        if entry is not None:
            found.append((entry.time, rank, (name, entry, note(entry))))
    return [told for _, _, told in sorted(found, key=lambda each: each[:2])]


def _own(case: Case, entry: Entry, phase: str) -> bool:
    """Whether it is of this server's build: a request may be about several servers, and has its id alone."""
    if (
        phase in ("accepted", "image loaded", "failed")
        or entry.service == "neutron"
        or "os_vif" in entry.text
    ):
        request = _build_request(case)
        return case.id in entry.text or not request or request in entry.requests
    return case.id in entry.text


def _build_request(case: Case) -> str:
    for each in case.part("actions", []):
        if each["action"] == "create":
            return str(each["request"])
    claim = case.find("Claim successful", own=True)
    return claim.requests[0] if claim and claim.requests else ""


def _asked(case: Case) -> datetime | None:
    """When it was asked for: the API tells how long it took over its answer."""
    request = _build_request(case)
    for entry in case.entries:
        if entry.service == "nova-api" and '"POST /v2.1/servers"' in entry.text and request in entry.requests:
            took = _TOOK.search(entry.text)
            return entry.time - timedelta(seconds=float(took["seconds"]) if took else 0)
    return case.began if case.server else None
