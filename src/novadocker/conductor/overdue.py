# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""Which builds nobody works on any more: pure, so that it is told apart from what is done about them."""

from collections.abc import Iterable


class Overdue:
    """Builds that were in nobody's hands at several roll calls, the first and the last a span apart.

    A roll call is answered once whatever was sent before it has been taken up, so that a build whose request
    lies on the broker, however long, is not among those. The span is for an API that has written a build down
    and not yet sent its request.

    :param seconds: how long that is.
    """

    def __init__(self, *, seconds: float) -> None:
        self._seconds = seconds
        self._since: dict[str, float] = {}

    def among(self, waiting: Iterable[str], *, at_work: Iterable[str], now: float) -> list[str]:
        """Those of `waiting` that are lost; what is at work or waits no longer is seen afresh later.

        :param waiting: builds that were there before a roll call which is answered by now.
        """
        idle = set(waiting) - set(at_work)
        self._since = {each: self._since.get(each, now) for each in idle}
        return sorted(each for each, since in self._since.items() if now - since >= self._seconds)
