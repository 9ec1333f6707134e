# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""What happens to a service in the midst of its work: it is killed, or held until it may go on."""

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class Killed:
    """Ends whoever comes here, as SIGKILL does, and tells that it did."""

    def __init__(self) -> None:
        self._reached = threading.Event()

    def __call__(self, *arguments: Any, **options: Any) -> None:
        self._reached.set()
        sys.exit("killed")  # no handler of Nova's tidies up after it

    def wait(self) -> None:
        assert self._reached.wait(20)


class Held:
    """Holds whoever comes here, until it is let go."""

    def __init__(self, then: Any) -> None:
        self._then = then
        self._reached, self._free = threading.Event(), threading.Event()

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        self._reached.set()
        assert self._free.wait(60)
        return self._then(*arguments, **options)

    @contextmanager
    def reached(self) -> Iterator[None]:
        assert self._reached.wait(20)
        try:
            yield
        finally:
            self._free.set()
