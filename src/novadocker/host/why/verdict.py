# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""The one cause, or that it is unknown and what was looked at."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from novadocker.host.evidence.model import NotSeen
from novadocker.host.why import ending, images, network, placing, starting, stuck
from novadocker.host.why.case import Case, Cause, line
from novadocker.host.why.timeline import Phase, phases

# The most specific first; what only repeats another's words last.
RULES: tuple[Callable[[Case], Cause | None], ...] = (
    *stuck.RULES,
    *ending.RULES,
    *images.RULES,
    *placing.RULES,
    *network.RULES,
    *starting.RULES,
    *starting.LAST,
)
_WELL = ("ACTIVE",)
_RESTING = ("SHUTOFF", "DELETED", "PAUSED", "SUSPENDED", "RESCUE", "SHELVED", "SHELVED_OFFLOADED")
_MOST_ERRORS = 6


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What there is to say of a server.

    :ivar rule: of the cause; `well` where there is nothing to explain, `unknown` where nothing explains it.
    :ivar looked: what was looked at, and what could not be.
    :ivar notes: what else an operator should know.
    """

    id: str
    name: str
    kind: str
    status: str
    rule: str
    wrong: bool
    sentence: str
    evidence: tuple[str, ...]
    fix: str
    timeline: tuple[Phase, ...]
    looked: tuple[str, ...]
    notes: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """As plain values."""
        return asdict(self)


def judge(case: Case) -> Verdict:
    """Ask every rule; the first that knows wins."""
    looked = list(_looked(case))
    cause = None
    for rule in RULES:
        try:
            cause = rule(case)
        except NotSeen as reason:
            looked.append(f"not seen: {reason}")
        if cause is not None:
            break
    if cause is None:
        cause = _well(case) or _unknown(case)
    return Verdict(
        id=case.id,
        name=case.name,
        kind=case.kind,
        status=case.status,
        rule=cause.rule,
        wrong=cause.wrong,
        sentence=cause.sentence,
        evidence=cause.evidence,
        fix=cause.fix,
        timeline=tuple(phases(case)),
        looked=tuple(dict.fromkeys(looked)),
        notes=tuple(_notes(case)),
    )


def _well(case: Case) -> Cause | None:
    if case.status not in _WELL or case.task or case.server.get("fault"):
        return None
    troubles = []
    for port in case.part("ports", []):
        if port["status"] != "ACTIVE":
            troubles.append(f"Neutron: port {port['id']} is {port['status']}, binding {port['vif']}")
    down = case.stopped_now(case.compute) if case.compute else ""
    if down:
        troubles.append(f"supervisor: {down} does not run: what Nova says of it may be old")
    if case.kind == "container" and case.part("container", {"status": "running"}).get("status") != "running":
        troubles.append(f"Docker: its container is {case.seen['container'].get('status', 'not there')}")
    if troubles:
        return Cause(
            rule="active-but",
            sentence=f"Nova has it ACTIVE, but {troubles[0].split(': ', 1)[1]}.",
            evidence=tuple(troubles),
            fix=f"nova-docker up   # then, if it stays so: openstack server reboot --hard {case.id}",
        )
    return Cause(
        rule="well", sentence="It is ACTIVE, and nothing is wrong with it.", evidence=(), fix="", wrong=False
    )


def _unknown(case: Case) -> Cause:
    errors = [entry for entry in case.entries if entry.level == "error"] or [
        entry for entry in case.entries if entry.level == "warning" and case.id in entry.text
    ]
    known = placing.not_any_more(case)
    if not case.server:
        what = "The cloud's APIs do not answer, and the logs alone do not tell why the server is as it is."
    elif known:
        what = known
    else:
        fault = f" Nova's fault says: {case.fault}" if case.fault else ""
        what = f"Why it is {case.status} is unknown.{fault}"
    return Cause(
        rule="unknown",
        sentence=what,
        evidence=tuple(dict.fromkeys(line(entry) for entry in errors))[:_MOST_ERRORS],
        fix=f"nova-docker logs {case.id}   # all that was written; nova-docker doctor looks at the cloud",
        wrong=case.status not in _RESTING,
    )


def _looked(case: Case) -> list[str]:
    services = sorted({entry.service for entry in case.entries})
    said = [
        f"{len(case.entries)} lines of {', '.join(services)}" if services else "no line of any log names it"
    ]
    for name, value in case.seen.parts.items():
        if name not in ("now", "hosts") and value:
            said.append(f"{name}: {len(value) if isinstance(value, list) else 'seen'}")
    return said + [f"{name}: not seen: {reason}" for name, reason in case.seen.missing.items()]


def _notes(case: Case) -> list[str]:
    """Actions that failed without changing what the server is."""
    return [
        f"{each['action']} at {each['start'][11:19]} failed: "
        + next((str(event["details"]) for event in each["events"] if event["details"]), "see its request "
               + each["request"])
        for each in case.part("actions", [])[-5:]
        if each["message"] == "Error" and each["action"] != "create"
    ]  # fmt: skip
