# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""How far a build has come, and when: one line of log a server, which `nova-docker bench` reads."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

# Told the name of what has just been done; what is done at the same time is told from several threads.
Done = Callable[[str], None]


def untold(_: str) -> None:
    """For work that is no part of a build."""


class Progress:
    """When the steps of a build were done, in seconds since its beginning."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._began = clock()
        self._waited = 0.0
        self._moments: dict[str, float] = {}

    def done(self, name: str) -> None:
        """Note that something is done by now."""
        self._moments[name] = self._clock() - self._began

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Note a time in which nothing of the build goes on: it is Nova's and Neutron's turn."""
        began = self._clock()
        try:
            yield
        finally:
            self._waited += self._clock() - began

    def __str__(self) -> str:
        moments = ", ".join(f"{name} {at:.3f}" for name, at in sorted(self._moments.items(), key=_moment))
        took = self._clock() - self._began
        return f"{took:.3f} s, {self._waited:.3f} s of them waiting for its ports to be made ({moments})"


def _moment(item: tuple[str, float]) -> float:
    return item[1]
