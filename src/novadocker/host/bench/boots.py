# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""Boot servers, watch what becomes of them, and delete them."""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from novadocker import poll
from novadocker.errors import NovaDockerError
from novadocker.host.bench import phases, records
from novadocker.host.bench.lookout import PORT, Answer
from novadocker.host.bench.news import ACTIVE, FAILED, GONE
from novadocker.host.bench.servers import Asked, Kind
from novadocker.host.bench.watcher import ANSWER_SECONDS, BOOT_SECONDS, END_SECONDS, Watcher
from novadocker.host.bench.weight import Times


@dataclass(kw_only=True)
class Boot:
    """One server's life; all but `began` are seconds since it was asked for.

    :ivar gone: seconds from the call to delete until it had gone.
    """

    id: str
    began: float
    request: str
    accepted: float
    active: float = 0.0
    asked: float | None = None
    answers: float | None = None
    answered_at_once: bool = False
    gone: float = 0.0
    deleted_at: float = 0.0
    moments: Mapping[str, float] = field(default_factory=dict)
    spawn: float | None = None
    own: float | None = None

    def told(self) -> dict[str, float]:
        """When each phase was over."""
        found = {"accepted": self.accepted, **self.moments, ACTIVE: self.active}
        return found | ({"answers": self.answers} if self.answers is not None else {})


def last(boots: Sequence[Boot]) -> dict[str, float]:
    """When the last was accepted and ACTIVE, since the first call, and gone, since the first delete."""
    began, deleted = min(boot.began for boot in boots), min(boot.deleted_at for boot in boots)
    return {
        "accepted": round(max(boot.began + boot.accepted for boot in boots) - began, 3),
        "ACTIVE": round(max(boot.began + boot.active for boot in boots) - began, 3),
        "gone": round(max(boot.deleted_at + boot.gone for boot in boots) - deleted, 3),
    }


class Batch:
    """Boots that are judged together.

    What the cloud spends on them is counted while they are :meth:`counted`, since others may come in between.
    """

    def __init__(self, watcher: Watcher, kind: Kind) -> None:
        self._watcher = watcher
        self._kind = kind
        self._boots: list[Boot] = []
        self._marks = records.mark(watcher.logs)
        self._times = Times(0.0)
        self._cost = 0.0

    @property
    def name(self) -> str:
        """Of the kind of servers."""
        return self._kind.name

    @contextmanager
    def counted(self) -> Iterator[None]:
        """Count the processor time of all services, and of watching, meanwhile."""
        began, cost = self._watcher.scales.times(), self._watching()
        yield
        self._times = self._times.plus(began, self._watcher.scales.times())
        self._cost += self._watching() - cost

    def ask(self, name: str) -> Boot:
        """Ask for a server."""
        asked: Asked = self._watcher.api.create(name, self._kind)
        boot = Boot(id=asked.id, began=asked.began, request=asked.request, accepted=asked.accepted)
        self._boots.append(boot)
        return boot

    def await_active(self, boots: Sequence[Boot]) -> None:
        """Wait until all of them are ACTIVE, and have answered if they are to."""
        heard = {
            boot.id: self._watcher.hear(boot.id, (ACTIVE, FAILED), seconds=BOOT_SECONDS) for boot in boots
        }
        for boot in boots:
            if heard[boot.id] != ACTIVE:
                raise self._failed(boot)
            boot.active = (self._watcher.news.moment(boot.id, ACTIVE) or time.time()) - boot.began
            if self._watcher.lookout is not None:
                self._take_answer(boot, self._watcher.lookout.answer(boot.id))

    def delete(self, boot: Boot) -> None:
        """Ask for its end."""
        boot.deleted_at = self._watcher.api.delete(boot.id)

    def await_gone(self, boots: Sequence[Boot]) -> None:
        """Wait until nothing of them is left but, for a moment, their records."""
        for boot in boots:
            self._watcher.hear(boot.id, (GONE,), seconds=END_SECONDS)
            boot.gone = (self._watcher.news.moment(boot.id, GONE) or time.time()) - boot.deleted_at

    def look_once_more(self) -> None:
        """See that Nova says what its services wrote: that they are ACTIVE, or no more.

        :raises NovaDockerError: if it does not.
        """

        def otherwise() -> str | None:
            statuses = self._watcher.api.statuses()
            wrong = [
                f"{boot.id} is {statuses.get(boot.id, 'gone')}"
                for boot in self._boots
                if statuses.get(boot.id) != (None if boot.gone else "ACTIVE")
            ]
            return ", ".join(wrong) or None

        poll.until(otherwise, why="Nova's word that servers are as its services wrote", seconds=10)

    def _take_answer(self, boot: Boot, answer: Answer) -> None:
        if answer.at is None:
            raise NovaDockerError(
                f"A {self._kind.name} of the instrument is ACTIVE and answers nobody.",
                facts=f"server {boot.id}, port {PORT}, {ANSWER_SECONDS:.0f} s",
                hint="nova-docker doctor",
            )
        boot.asked = answer.asked - boot.began
        boot.answers, boot.answered_at_once = answer.at - boot.began, answer.at_once
        if self._watcher.must_answer and not answer.at_once:
            boot.active = boot.answers

    def _failed(self, boot: Boot) -> NovaDockerError:
        status, fault = self._watcher.api.state(boot.id)
        return NovaDockerError(
            f"A {self._kind.name} of the instrument is {status}, not ACTIVE.",
            facts=fault,
            hint=f"nova-docker why {boot.id}",
        )

    def results(self) -> dict[str, Any]:
        """What all of them took, and what that cost."""
        watcher = self._watcher
        spent = Times(0.0).until(self._times)
        entries = list(records.since(self._marks, watcher.logs))
        for boot in self._boots:
            told = phases.told(
                entries,
                server=boot.id,
                request=boot.request,
                asked=datetime.fromtimestamp(boot.began, tz=UTC),
                compute=watcher.compute,
                libvirt=watcher.compute == "nova-libvirt",
            )
            boot.moments, boot.spawn, boot.own = told.moments, told.spawn, told.own
        count, whole = len(self._boots), sum(spent.values())
        return {
            "count": count,
            "phases": phases.spreads([boot.told() for boot in self._boots]),
            "spawn": phases.spread([boot.spawn for boot in self._boots if boot.spawn is not None]),
            "own": phases.spread([boot.own for boot in self._boots if boot.own is not None]),
            "gone": phases.spread([boot.gone for boot in self._boots]),
            # How soon after ACTIVE it was looked for, which bounds what "at that moment" means.
            "asked_after": phases.spread(
                [boot.asked - boot.active for boot in self._boots if boot.asked and boot.answered_at_once]
            ),
            "answered_late": sum(
                boot.answers is not None and not boot.answered_at_once for boot in self._boots
            ),
            "processor": {
                "seconds_a_server": round(whole / count, 3),
                "by_service": {
                    name: round(value / count, 3)
                    for name, value in sorted(spent.items(), key=lambda item: -item[1])
                },
                "watching_percent": round(100 * self._cost / whole, 2) if whole else None,
            },
            "servers": [
                {name: round(at, 3) for name, at in boot.told().items()} | {"gone": round(boot.gone, 3)}
                for boot in self._boots
            ],
        }

    def _watching(self) -> float:
        lookout = self._watcher.lookout
        return self._watcher.news.cost + (lookout.cost if lookout else 0.0)
