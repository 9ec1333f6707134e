# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""Wait for a named condition until a deadline, and report the last thing seen."""

import time
from collections.abc import Callable

from novadocker.errors import NovaDockerError


class NotInTime(NovaDockerError):
    """A condition did not come true before its deadline."""


def until(
    ask: Callable[[], str | None],
    *,
    why: str,
    seconds: float,
    hint: str = "",
    pause: float = 0.1,
    growth: float = 1.3,
    clock: Callable[[], float] = time.monotonic,
    rest: Callable[[float], None] = time.sleep,
) -> None:
    """Ask again and again until `ask` returns None; its text says what is still missing.

    For conditions that announce themselves nowhere (another program's port, an API's answer). The pauses
    grow from `pause` to one second.

    :raises NotInTime: with the last thing seen, after `seconds`.
    """
    deadline = clock() + seconds
    while (missing := ask()) is not None:
        if clock() >= deadline:
            raise NotInTime(f"{why}: not within {seconds:.0f} s.", facts=missing, hint=hint)
        rest(min(pause, max(0.0, deadline - clock())))
        pause = min(max(1.0, pause), pause * growth)
