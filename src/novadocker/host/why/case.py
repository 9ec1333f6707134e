# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""The case of one server: what was gathered about it, and the questions every rule asks of that."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any

from novadocker.host.evidence.model import Evidence, NotSeen
from novadocker.host.journal import Entry
from novadocker.host.why.outages import Outage, outages

_SHOWN = 220
# What oslo.log writes before a message: process, level, module, [request …], [instance …].
_CONTEXT = re.compile(
    r"^(?:time=\"?)?\d{4}-\d\d-\d\d[ T][\d:.,]+Z?\s+(?:\d+ )?(?:[A-Z]+ )?(?:[\w.]+ )?"
    r"(?:\[(?!instance)[^\]]*\] )*(?:\[instance: [0-9a-f-]+\] ?)?"
)
_WRAPPINGS = (
    re.compile(r"^(?:Build of instance \S+ aborted: )+"),
    re.compile(r"^Image \S+ is unacceptable: "),
)
_FAILED = re.compile(
    r"(?:Instance failed to spawn|Failed to build and run instance|Failed to allocate network\(s\)"
    r"|Failed to start libvirt guest|Failed to schedule instances): (?:[\w.]+: )?(?P<words>[^\n]+)"
)
# A failure is told a moment after what made it; Nova's times are of whole seconds.
_AFTER = timedelta(seconds=5)
_WHOLE = timedelta(seconds=1)


@dataclass(frozen=True, kw_only=True)
class Case:
    """One server.

    :ivar seen: parts `server`, `actions`, `ports`, `image`, `flavors`, `computes`, `agents`, `providers`,
        `supervised`, `container`, `domain`, `southbound`, `hosts`; any may be missing, with the reason.
    :ivar entries: what services wrote about it, joined by its ids and its requests, in order of time.
    :ivar upkeep: what the supervisor of the services wrote meanwhile.
    """

    id: str
    seen: Evidence
    entries: Sequence[Entry]
    upkeep: Sequence[Entry] = ()

    def part(self, name: str, default: Any) -> Any:
        """A part of what was seen, or `default` where it could not be had."""
        try:
            return self.seen[name]
        except NotSeen:
            return default

    @cached_property
    def server(self) -> Mapping[str, Any]:
        """Nova's record; empty where the API did not answer or has none."""
        return self.part("server", {}) or {}

    @property
    def status(self) -> str:
        """Nova's word for its state; `UNKNOWN` where Nova could not be asked."""
        return str(self.server.get("status") or "UNKNOWN")

    @property
    def task(self) -> str:
        """What is being done with it; empty if nothing is."""
        return str(self.server.get("task") or "")

    @property
    def name(self) -> str:
        """Its name, or its id where that is not known."""
        return str(self.server.get("name") or self.id)

    @property
    def kind(self) -> str:
        """`container`, `VM`, or `server` where nothing tells which."""
        hosts = self.part("hosts", {})
        kinds = {hosts.get("docker"): "container", hosts.get("libvirt"): "VM"}
        host = self.server.get("host")
        if host in kinds:
            return kinds[host]
        image = self.part("image", {})
        if image.get("container_format"):
            return "container" if image["container_format"] == "docker" else "VM"
        services = {entry.service for entry in self.entries if self.id in entry.text}
        return "container" if "nova-docker" in services else "VM" if "nova-libvirt" in services else "server"

    @property
    def compute(self) -> str:
        """The service that carries such servers, by its name on this machine."""
        return {"container": "nova-docker", "VM": "nova-libvirt"}.get(self.kind, "")

    @property
    def compute_host(self) -> str:
        """The host that has it, or the only one that could."""
        hosts = self.part("hosts", {})
        only = {"container": "docker", "VM": "libvirt"}.get(self.kind, "")
        return str(self.server.get("host") or hosts.get(only) or "")

    @property
    def failed(self) -> bool:
        """Whether Nova gave it up; of a deleted one Nova keeps no fault, but that it never ran."""
        never_ran = self.status == "DELETED" and not self.server.get("launched")
        return self.status == "ERROR" or never_ran or bool(self.server.get("fault"))

    @cached_property
    def fault(self) -> str:
        """Nova's fault, or what its services wrote in its place, without the words Nova puts around it."""
        text = str((self.server.get("fault") or {}).get("message") or "").strip()
        return _unwrapped(text) or self._written

    @cached_property
    def words(self) -> str:
        """What the hypervisor's side said first when it failed; else Nova's fault."""
        return self._written or self.fault

    @cached_property
    def _written(self) -> str:
        for entry in self.entries:
            found = _FAILED.search(entry.text)
            if found and (self.id in entry.text or "schedule" in found[0]):
                return _unwrapped(found["words"].strip())
        return ""

    @cached_property
    def told(self) -> str:
        """All that speaks of a failure, to look for words in."""
        details = str((self.server.get("fault") or {}).get("details") or "")
        errors = [entry.text for entry in self.entries if entry.level == "error"]
        return "\n".join([self.fault, details, self.words, *errors])

    @cached_property
    def began(self) -> datetime:
        """When it was asked for; the first that is known of it where Nova does not say."""
        if self.server.get("created"):
            return moment(str(self.server["created"]))
        return self.entries[0].time if self.entries else datetime.fromtimestamp(0, tz=UTC)

    @cached_property
    def ended(self) -> datetime:
        """When it failed, or when Nova last wrote about it."""
        created = (self.server.get("fault") or {}).get("created")
        if created:
            return moment(str(created))
        errors = [entry.time for entry in self.entries if entry.level == "error"]
        if errors:
            return errors[-1]
        updated = self.server.get("updated")
        return moment(str(updated)) if updated else self.now

    @cached_property
    def now(self) -> datetime:
        """When it was looked at."""
        return moment(str(self.seen["now"]))

    def find(self, pattern: str, *, service: str = "", own: bool = False) -> Entry | None:
        """The first entry in which the pattern is.

        :param own: only those that name the server itself, not those of a request about several.
        """
        expression = re.compile(pattern)
        for entry in self.entries:
            if service and entry.service != service:
                continue
            if (not own or self.id in entry.text) and expression.search(entry.text):
                return entry
        return None

    @cached_property
    def all_outages(self) -> dict[str, list[Outage]]:
        """When which service did not run, by the supervisor's log."""
        return outages(self.upkeep)

    def outage(self, *services: str) -> Outage | None:
        """The outage of one of these services that touches the time from its beginning to its failure."""
        for service in services:
            for gap in self.all_outages.get(service, ()):
                if gap.begin <= self.ended + _AFTER and (gap.end or self.now) >= self.began - _WHOLE:
                    return gap
        # systemd writes no such log; what does not run now is known all the same.
        down = "" if self.upkeep else self.stopped_now(*services)
        return Outage(service=down, begin=self.now, end=None, how="does not run") if down else None

    def stopped_now(self, *services: str) -> str:
        """The first of these services that does not run at this moment; empty if all do, or none can tell."""
        states = self.part("supervised", {})
        for service in services:
            if service in states and states[service]["state"] not in ("RUNNING", "STARTING"):
                return service
        return ""

    def frozen_now(self, *services: str) -> str:
        """The first of these services whose process is stopped by a signal; empty if none is."""
        states = self.part("supervised", {})
        return next((name for name in services if states.get(name, {}).get("frozen")), "")


@dataclass(frozen=True, kw_only=True)
class Cause:
    """Why it is so.

    :ivar rule: the rule's name, short and stable: scripts refer to it.
    :ivar sentence: one sentence for the operator.
    :ivar evidence: what shows it, a line each.
    :ivar fix: a command, or what to do where there is none.
    :ivar wrong: whether anything is wrong at all: a server that was stopped on request is well.
    """

    rule: str
    sentence: str
    evidence: tuple[str, ...]
    fix: str
    wrong: bool = True


def _unwrapped(text: str) -> str:
    for pattern in _WRAPPINGS:
        text = pattern.sub("", text)
    return text


def line(entry: Entry) -> str:
    """An entry as a line of evidence: when, who, and the words without what oslo.log puts before them."""
    first, *rest = [each for each in entry.text.splitlines() if each.strip()]
    words = _CONTEXT.sub("", first)
    # Of a document in a message, its end says what became of it.
    if len(rest) > 3 and rest[-1].startswith(": "):
        words = f"{words.split('XML:')[0].strip()} … {rest[-1][2:]}"
    words = words if len(words) <= _SHOWN else words[: _SHOWN - 1] + "…"
    return f"{entry.time:%H:%M:%S} {entry.service}: {words}"


def lines(found: Iterable[Entry | None]) -> tuple[str, ...]:
    """Those entries that there are, as lines of evidence, each once."""
    return tuple(dict.fromkeys(line(entry) for entry in found if entry is not None))


def again(case: Case, first: str = "nova-docker up") -> str:
    """A fix after which the server, which has failed, must be made anew."""
    delete = "" if case.status == "DELETED" else f"openstack server delete {case.id}, and "
    return f"{first}   # then: {delete}create it again"


def moment(text: str) -> datetime:
    """A time as the APIs write it; UTC where no zone is named."""
    found = datetime.fromisoformat(text.replace("Z", "+00:00"))
    return found if found.tzinfo else found.replace(tzinfo=UTC)
