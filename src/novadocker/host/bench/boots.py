# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""Boot servers one at a time and many at once, watch what becomes of them, and delete them."""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from novadocker import poll
from novadocker.errors import NovaDockerError
from novadocker.host.bench import phases, records
from novadocker.host.bench.lookout import PORT, Answer
from novadocker.host.bench.news import ACTIVE, FAILED, GONE
from novadocker.host.bench.servers import PREFIX, Asked, Kind
from novadocker.host.bench.watcher import ANSWER_SECONDS, BOOT_SECONDS, END_SECONDS, Watcher

# What one server leaves to be done after its end is not to be the next one's burden, nor forgotten.
_REST = 0.4


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


def one_at_a_time(watcher: Watcher, kind: Kind, *, count: int, say: Callable[[str], None]) -> dict[str, Any]:
    """Boot, see answer, and delete one server after the other."""
    batch = Batch(watcher, kind)
    for number in range(count):
        boot = batch.ask(f"{PREFIX}-{kind.name}-{number}")
        batch.await_active([boot])
        batch.delete(boot)
        batch.await_gone([boot])
        say(f"{kind.name} {number + 1} of {count}: {_shown(boot)}")
        time.sleep(_REST)
    batch.look_once_more()
    return batch.results()


def at_once(
    watcher: Watcher,
    kind: Kind,
    *,
    count: int,
    say: Callable[[str], None],
    meanwhile: Callable[[], None] = lambda: None,
) -> dict[str, Any]:
    """Boot all servers at once, and delete them at once.

    :param meanwhile: called while all of them are there and nothing is asked of the cloud.
    """
    batch = Batch(watcher, kind)
    names = [f"{PREFIX}-{kind.name}-{number}" for number in range(count)]
    gate = threading.Barrier(count)

    def ask(name: str) -> Boot:
        gate.wait(30)
        return batch.ask(name)

    with ThreadPoolExecutor(max_workers=count) as pool:
        boots = list(pool.map(ask, names))
        batch.await_active(boots)
        batch.look_once_more()
        meanwhile()
        # The threads are there already: the calls leave as one.
        list(pool.map(batch.delete, boots))
        batch.await_gone(boots)
    batch.look_once_more()
    result = batch.results()
    began = min(boot.began for boot in boots)
    deleted = min(boot.deleted_at for boot in boots)
    result["last"] = {
        "accepted": round(max(boot.began + boot.accepted for boot in boots) - began, 3),
        "ACTIVE": round(max(boot.began + boot.active for boot in boots) - began, 3),
        "gone": round(max(boot.deleted_at + boot.gone for boot in boots) - deleted, 3),
    }
    last = ", ".join(f"{name} {at:.2f}" for name, at in result["last"].items())
    say(f"{count} {kind.name}s at once, the last: {last} s")
    time.sleep(_REST)
    return result


def _shown(boot: Boot) -> str:
    answers = f", answers {boot.answers:.2f}" if boot.answers is not None else ""
    return f"accepted {boot.accepted:.2f}, ACTIVE {boot.active:.2f}{answers}, gone {boot.gone:.2f} s"


class Batch:
    """Boots that are judged together."""

    def __init__(self, watcher: Watcher, kind: Kind) -> None:
        self._watcher = watcher
        self._kind = kind
        self._boots: list[Boot] = []
        self._marks = records.mark(watcher.logs)
        self._times = watcher.scales.times()
        self._cost = self._watching()

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
        spent = self._times.until(watcher.scales.times())
        cost = self._watching() - self._cost
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
                "watching_percent": round(100 * cost / whole, 2) if whole else None,
            },
            "servers": [
                {name: round(at, 3) for name, at in boot.told().items()} | {"gone": round(boot.gone, 3)}
                for boot in self._boots
            ],
        }

    def _watching(self) -> float:
        lookout = self._watcher.lookout
        return self._watcher.news.cost + (lookout.cost if lookout else 0.0)
