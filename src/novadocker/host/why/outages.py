# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""When which service did not run, by what the supervisor wrote."""

import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from novadocker.host.journal import Entry

_WENT = re.compile(
    r"(?:stopped: (?P<stopped>[\w-]+) \(|exited: (?P<exited>[\w-]+) \((?P<how>[^)]*)\)"
    r"|gave up: (?P<lost>[\w-]+) )"
)
_CAME = re.compile(r"success: (?P<name>[\w-]+) entered RUNNING state")


@dataclass(frozen=True, kw_only=True)
class Outage:
    """A time in which a service did not run.

    :ivar end: None while it lasts.
    :ivar how: `was stopped`, `ended by itself`, or `does not run` where nothing tells since when.
    """

    service: str
    begin: datetime
    end: datetime | None
    how: str

    @property
    def told(self) -> str:
        """What became of the service, as the middle of a sentence."""
        return self.how if self.end or self.how == "does not run" else f"{self.how} and is down still"

    def __str__(self) -> str:
        until = f"until {self.end:%H:%M:%S}" if self.end else "and does not run since"
        return f"{self.begin:%H:%M:%S} supervisor: {self.service} {self.how}, {until}"


def outages(entries: Iterable[Entry]) -> dict[str, list[Outage]]:
    """All outages by service, in order of time."""
    found: dict[str, list[Outage]] = defaultdict(list)
    gone: dict[str, tuple[datetime, str]] = {}
    for entry in entries:
        if went := _WENT.search(entry.text):
            name = went["stopped"] or went["exited"] or went["lost"]
            how = (
                "was stopped" if went["stopped"] else f"ended by itself ({went['how'] or 'again and again'})"
            )
            gone.setdefault(name, (entry.time, how))
        elif (came := _CAME.search(entry.text)) and came["name"] in gone:
            begin, how = gone.pop(came["name"])
            found[came["name"]].append(Outage(service=came["name"], begin=begin, end=entry.time, how=how))
    for name, (begin, how) in gone.items():
        found[name].append(Outage(service=name, begin=begin, end=None, how=how))
    return dict(found)
