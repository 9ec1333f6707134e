# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""Several kinds of servers, booted in turn: what is compared has met the same machine.

A shared machine is slower by a third for minutes. With one kind after the other, that would be taken for
their difference.
"""

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from statistics import median
from typing import Any

from novadocker.host.bench import boots
from novadocker.host.bench.boots import Batch, Boot
from novadocker.host.bench.servers import PREFIX, Kind
from novadocker.host.bench.watcher import Watcher
from novadocker.host.bench.weight import Weight

# What one server leaves to be done after its end is not to be the next one's burden, nor forgotten.
_REST = 0.4
# What is put off until after a boot is not to be taken for what a server that is there weighs.
_SETTLED = 1.5


@dataclass(frozen=True, kw_only=True)
class Side:
    """One kind of servers that is compared with others.

    :ivar weighed: is told once what the cloud weighs before servers are booted at once, and with all of them.
    """

    watcher: Watcher
    kind: Kind
    weighed: Callable[[Weight, Weight], None] | None = None


def measure(
    sides: Sequence[Side], *, servers: int, at_once: int, rounds: int, say: Callable[[str], None]
) -> list[dict[str, Any]]:
    """Boot and delete servers of each kind, one after the other, then many at once.

    :param rounds: how often those at once come and go.
    :returns: of each kind what `one` took, and what those `at_once` did.
    """
    ones = one_at_a_time(sides, count=servers, say=say)
    manys = _at_once(sides, count=at_once, rounds=rounds, say=say)
    return [{"one": one, "at_once": many} for one, many in zip(ones, manys, strict=True)]


def _in_turn(sides: Sequence[Side], number: int) -> Sequence[int]:
    """Each side once, every other time the last first: none has the better part of a drift."""
    order = range(len(sides))
    return order if number % 2 == 0 else order[::-1]


def one_at_a_time(sides: Sequence[Side], *, count: int, say: Callable[[str], None]) -> list[dict[str, Any]]:
    """Boot, see answer, and delete one server after the other; what that took, of each kind."""
    batches = [Batch(side.watcher, side.kind) for side in sides]
    for number in range(count):
        for index in _in_turn(sides, number):
            batch = batches[index]
            with batch.counted():
                boot = batch.ask(f"{PREFIX}-{batch.name}-{number}")
                batch.await_active([boot])
                batch.delete(boot)
                batch.await_gone([boot])
                time.sleep(_REST)
            say(f"{batch.name} {number + 1} of {count}: {_shown(boot)}")
    for batch in batches:
        batch.look_once_more()
    return [batch.results() for batch in batches]


def _at_once(
    sides: Sequence[Side], *, count: int, rounds: int, say: Callable[[str], None]
) -> list[dict[str, Any]]:
    batches = [Batch(side.watcher, side.kind) for side in sides]
    lasts: list[list[dict[str, float]]] = [[] for _ in sides]
    with ThreadPoolExecutor(max_workers=count) as pool:
        for number in range(rounds):
            for index in _in_turn(sides, number):
                batch, weigh = batches[index], _weighing(sides[index]) if number == 0 else None
                with batch.counted():
                    some = _burst(pool, batch, count=count, meanwhile=weigh)
                    time.sleep(_REST)
                lasts[index].append(boots.last(some))
                told = ", ".join(f"{name} {at:.2f}" for name, at in lasts[index][-1].items())
                say(f"{count} {batch.name}s at once, {number + 1} of {rounds}, the last: {told} s")
    return [
        batch.results() | {"count": count, "last": _middle(last), "rounds": last}
        for batch, last in zip(batches, lasts, strict=True)
    ]


def _weighing(side: Side) -> Callable[[], None] | None:
    if (told := side.weighed) is None:
        return None
    scales = side.watcher.scales
    before = scales.weigh()

    def settled() -> None:
        time.sleep(_SETTLED)
        told(before, scales.weigh())

    return settled


def _burst(
    pool: ThreadPoolExecutor, batch: Batch, *, count: int, meanwhile: Callable[[], None] | None
) -> list[Boot]:
    gate = threading.Barrier(count)

    def ask(name: str) -> Boot:
        gate.wait(30)
        return batch.ask(name)

    some = list(pool.map(ask, [f"{PREFIX}-{batch.name}-{number}" for number in range(count)]))
    batch.await_active(some)
    batch.look_once_more()
    if meanwhile is not None:
        meanwhile()
    # The threads are there already: the calls leave as one.
    list(pool.map(batch.delete, some))
    batch.await_gone(some)
    batch.look_once_more()
    return some


def _middle(lasts: Sequence[dict[str, float]]) -> dict[str, float]:
    return {name: round(median(last[name] for last in lasts), 3) for name in lasts[0]}


def _shown(boot: Boot) -> str:
    answers = f", answers {boot.answers:.2f}" if boot.answers is not None else ""
    return f"accepted {boot.accepted:.2f}, ACTIVE {boot.active:.2f}{answers}, gone {boot.gone:.2f} s"
