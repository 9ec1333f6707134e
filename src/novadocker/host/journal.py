# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""What the services wrote, as entries that can be joined: by time, by request, by server."""

import heapq
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

# oslo.log, MariaDB, RabbitMQ and libvirt write a space between day and clock, Open vSwitch and OVN a T;
# dockerd has its time in time="…". Where no zone is named it is UTC: all services are started with TZ=UTC.
_TIME = re.compile(
    r'(?:time=")?(?P<day>\d{4}-\d\d-\d\d)[ T](?P<clock>\d\d:\d\d:\d\d)(?:[.,](?P<part>\d{1,9}))?'
    r"(?P<zone>Z|[+-]\d\d:?\d\d)?"
)
_LEVEL = re.compile(
    r"\b(?:level=)?\[?(?P<level>DEBUG|INFO|NOTE|NOTICE|WARN|WARNING|ERR|ERROR|CRITICAL|CRIT|EMER|FATAL|TRACE)\b",
    re.IGNORECASE,
)
_REQUEST = re.compile(r"req-[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}")
_SEVERE = {"err": "error", "crit": "error", "critical": "error", "emer": "error", "fatal": "error",
           "trace": "error", "error": "error", "warn": "warning", "warning": "warning"}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One message of one service, with the lines that belong to it.

    :ivar time: UTC; that of the entry before where the message bears none.
    :ivar level: `error`, `warning` or `info`.
    """

    time: datetime
    service: str
    level: str
    text: str

    @property
    def requests(self) -> tuple[str, ...]:
        """The ids of the requests it was written for, or speaks of."""
        return tuple(dict.fromkeys(_REQUEST.findall(self.text)))


_BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)


def entries(lines: Iterable[str], *, service: str, since: datetime = _BEGINNING) -> Iterator[Entry]:
    """Part what a service wrote into entries; lines without a time belong to the entry before them.

    :param since: the time of lines before the first that bears one.
    """
    time, level, held = since, "info", []
    for raw in lines:
        line = raw.rstrip("\n")
        found = _TIME.match(line)
        if found is None:
            if line.strip():
                held.append(line)
            continue
        now, severity = _moment(found), _severity(line[found.end() : found.end() + 60])
        # oslo.log writes each line of a traceback as a message of its own.
        if held and severity == "trace" and now == time:
            held.append(line)
            level = "error"
            continue
        if held:
            yield Entry(time=time, service=service, level=level, text="\n".join(held))
        time, level, held = now, _SEVERE.get(severity, "info"), [line]
    if held:
        yield Entry(time=time, service=service, level=level, text="\n".join(held))


def read(file: Path, *, service: str) -> Iterator[Entry]:
    """The entries of a log, the rotated parts before it first; none if there is no such file."""
    for part in parts(file):
        with part.open(errors="replace") as stream:
            yield from entries(stream, service=service)


def parts(file: Path) -> list[Path]:
    """A log's files, the oldest first: supervisord numbers the rotated ones, the newest 1."""
    older = sorted(
        (path for path in file.parent.glob(f"{file.name}.*") if path.suffix[1:].isdigit()),
        key=lambda path: -int(path.suffix[1:]),
    )
    return [*older, file] if file.is_file() else older


def joined(journals: Sequence[Iterable[Entry]]) -> Iterator[Entry]:
    """The entries of several services in the order of their times."""
    return heapq.merge(*journals, key=lambda entry: entry.time)


def of_server(found: Iterable[Entry], *, words: Iterable[str]) -> list[Entry]:
    """Keep what was written about a server, and what was written for the requests that were about it.

    :param words: ids by which it may be named: its own, those of its ports, of its containers.
    """
    kept = list(found)
    names = [word for word in words if word]
    about = [any(word in entry.text for word in names) for entry in kept]
    # A request's own id stands first; the second of a service's line is that of the request behind it.
    asked = {
        request
        for entry, hit in zip(kept, about, strict=True)
        if hit and not _sweeping(entry)
        for request in entry.requests
    }
    return [
        entry for entry, hit in zip(kept, about, strict=True) if hit or not asked.isdisjoint(entry.requests)
    ]


def _sweeping(entry: Entry) -> bool:
    """Say whether an entry is of a periodic task or a start, whose request is about all servers."""
    return bool(re.search(r"\[None req-[0-9a-f-]+ - - ", entry.text[:200]))


def _moment(found: re.Match[str]) -> datetime:
    part = (found["part"] or "0")[:6].ljust(6, "0")
    zone = (found["zone"] or "Z").replace("Z", "+00:00")
    return datetime.fromisoformat(f"{found['day']}T{found['clock']}.{part}{zone}").astimezone(UTC)


def _severity(text: str) -> str:
    found = _LEVEL.search(text)
    return found["level"].lower() if found else ""
