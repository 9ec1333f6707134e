# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""Learn at once, and for nearly nothing, what becomes of servers: from what nova-compute writes anyway.

The API has no event for a server's state, and a question costs its processors some 40 ms: asked ten times a
second it slows what it measures. tail(1) sleeps until the kernel says that a log has grown; where it does
not trust the file system to have that said (overlayfs), it looks for itself.
"""

import re
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Self

import psutil

from novadocker import run
from novadocker.host import journal

_LOOK = 0.02
ACTIVE, GONE, FAILED = "ACTIVE", "gone", "failed"
_UUID = r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
# Nova writes the first after it has stored ACTIVE, the second after all of a server is gone but its record.
_WORDS = re.compile(
    rf"\[instance: (?P<built>{_UUID})\] Took [\d.]+ seconds to build instance"
    rf"|Deleted allocations for instance (?P<gone>{_UUID})"
    rf"|\[instance: (?P<failed>{_UUID})\] (?:Setting instance to ERROR|Failed to build and run)"
)
_KINDS = {"built": ACTIVE, "gone": GONE, "failed": FAILED}


def read(line: str) -> tuple[str, str] | None:
    """The server a line is about, and what became of it; None for any other line."""
    found = _WORDS.search(line)
    if found is None:
        return None
    (name, server), *_ = [(name, value) for name, value in found.groupdict().items() if value]
    return server, _KINDS[name]


class News:
    """Follows logs while it is entered.

    :param heard: told of every piece of news at once, in the thread that follows.
    """

    def __init__(self, logs: Sequence[Path], *, heard: Callable[[str, str], None]) -> None:
        self._logs = logs
        self._heard = heard
        self._known: dict[str, dict[str, float]] = {}
        self._change = threading.Condition()
        self._cost = 0.0
        self._open = ExitStack()

    def __enter__(self) -> Self:
        """Begin to follow."""
        words = ["tail", "-q", "-n", "0", "-s", str(_LOOK), "-F", "--", *map(str, self._logs)]
        self._tail = self._open.enter_context(run.writing(words))
        self._thread = threading.Thread(target=self._follow, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """End tail, and with it the thread."""
        self._tail.terminate()
        self._thread.join(timeout=5)
        self._open.close()

    def wait(self, server: str, wanted: Sequence[str], *, seconds: float) -> str | None:
        """Wait for one of some words on a server; None if there is none within `seconds`."""
        with self._change:
            self._change.wait_for(lambda: self._found(server, wanted), timeout=seconds)
            return self._found(server, wanted)

    def moment(self, server: str, word: str) -> float | None:
        """When that was written, as the log says (seconds of the epoch)."""
        with self._change:
            return self._known.get(server, {}).get(word)

    @property
    def cost(self) -> float:
        """Processor seconds that following took so far."""
        return self._cost + sum(psutil.Process(self._tail.pid).cpu_times()[:2])

    def _found(self, server: str, wanted: Sequence[str]) -> str | None:
        return next((word for word in wanted if word in self._known.get(server, {})), None)

    def _follow(self) -> None:
        assert self._tail.stdout is not None
        for raw in self._tail.stdout:
            line = raw.decode(errors="replace")
            news = read(line)
            if news is not None:
                server, word = news
                self._heard(server, word)
                moment = next(iter(journal.entries([line], service=""))).time.timestamp()
                with self._change:
                    self._known.setdefault(server, {}).setdefault(word, moment)
                    self._change.notify_all()
            self._cost = time.thread_time()
