# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""Telling Nova what became of a server, until it has taken note; by a few threads, however much happens."""

import heapq
import itertools
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from oslo_log import log as logging

LOG = logging.getLogger(__name__)

# Telling Nova means questions to its database: an end must not wait behind another's.
_THREADS = 4

# Seconds between two tellings of one end: until Nova's own ten-minute look at power states.
_TELL_AGAIN = (0.5, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0)

STOPPED = "stopped"

Emit = Callable[[str, str], None]


@dataclass(order=True)
class _Item:
    due: float
    number: int
    uuid: str = field(compare=False)
    change: str = field(compare=False)
    told: int = field(compare=False, default=0)


class News:
    """What Nova is to be told.

    :param emit: tells Nova (uuid, change).
    :param settled: whether Nova's record agrees that a server has stopped, or no longer cares.
    :param stands: whether a server that stopped is stopped still.
    """

    def __init__(self, *, emit: Emit, settled: Callable[[str], bool], stands: Callable[[str], bool]) -> None:
        self._emit = emit
        self._settled = settled
        self._stands = stands
        self._changed = threading.Condition()
        self._waiting: list[_Item] = []
        self._latest: dict[str, int] = {}
        self._numbers = itertools.count(1)
        self._stopping = False

    def start(self) -> None:
        """Begin to tell."""
        for number in range(_THREADS):
            threading.Thread(target=self._work, name=f"docker-news-{number}", daemon=True).start()

    def stop(self) -> None:
        """Tell nothing more."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()

    def tell(self, uuid: str, change: str, *, unless_known: bool = False) -> None:
        """Tell a change: an end until Nova has noted it, anything else once.

        :param unless_known: ask Nova's record first.
        """
        with self._changed:
            number = next(self._numbers)
            if change == STOPPED:
                self._latest[uuid] = number
            self._put(_Item(time.monotonic(), number, uuid, change, told=1 if unless_known else 0))

    def _put(self, item: _Item) -> None:
        heapq.heappush(self._waiting, item)
        self._changed.notify()

    def _work(self) -> None:
        while True:
            with self._changed:
                while not self._stopping and (wait := self._wait()) != 0:
                    self._changed.wait(wait)
                if self._stopping:
                    return
                item = heapq.heappop(self._waiting)
            try:
                done = self._tell(item)
            except Exception:
                # Nova's side failed, as while its conductor restarts: the next telling may get through.
                LOG.exception("Could not tell Nova that server %s has %s", item.uuid, item.change)
                done = item.change != STOPPED
            self._put_off(item, done=done)

    def _wait(self) -> float | None:
        """Return the seconds until something is due, 0 when it is; None for as long as it takes."""
        return max(0.0, self._waiting[0].due - time.monotonic()) if self._waiting else None

    def _tell(self, item: _Item) -> bool:
        if item.told:
            superseded = self._latest.get(item.uuid) != item.number
            if superseded or not self._stands(item.uuid) or self._settled(item.uuid):
                return True
        self._emit(item.uuid, item.change)
        return item.change != STOPPED

    def _put_off(self, item: _Item, *, done: bool) -> None:
        with self._changed:
            if not done and item.told < len(_TELL_AGAIN):
                item.due = time.monotonic() + _TELL_AGAIN[item.told]
                item.told += 1
                self._put(item)
            elif self._latest.get(item.uuid) == item.number:
                del self._latest[item.uuid]
