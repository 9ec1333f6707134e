# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""Which requests nobody works on any more: pure, so that it is told apart from what is done about them."""

from collections.abc import Collection, Hashable, Iterable
from typing import Generic, TypeVar

Seen = TypeVar("Seen", bound=Hashable)


class Overdue(Generic[Seen]):
    """Requests that were in nobody's hands at several roll calls, the first and the last a span apart.

    A roll call is answered once whatever was sent before it has been taken up, so that a request that
    lies on the broker, however long, is not among those. The span is for an API that has written a request
    down and not yet sent it, and for whoever has taken one up and not yet said so.

    :param seconds: how long that is.
    :param calls: at how many roll calls at least; a machine that stood still makes any span of two.
    """

    def __init__(self, *, seconds: float, calls: int = 1) -> None:
        self._seconds, self._calls = seconds, calls
        self._since: dict[Seen, tuple[float, int]] = {}

    def among(self, waiting: Iterable[Seen], *, at_work: Collection[Seen], now: float) -> list[Seen]:
        """Those of `waiting` that are lost; what is at work or waits no longer is seen afresh later.

        :param waiting: requests that were there before a roll call which is answered by now.
        """
        before = self._since
        self._since = {}
        for each in waiting:
            if each not in at_work:
                since, calls = before.get(each, (now, 0))
                self._since[each] = since, calls + 1
        return [
            each
            for each, (since, calls) in self._since.items()
            if now - since >= self._seconds and calls >= self._calls
        ]
