# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""How long a cloud takes to come and to go: another one beside the user's, which goes on meanwhile."""

import time
from collections.abc import Callable
from pathlib import Path

from novadocker import run

# What is run, and under which name it is told.
_STEPS = (
    ("up", ("up",)),
    ("look", ("up",)),
    ("down_keep_data", ("down", "--keep-data")),
    ("up_again", ("up",)),
    ("down", ("down",)),
)
_SECONDS = 900.0


def measure(program: Path, *, beside: str, say: Callable[[str], None]) -> dict[str, float]:
    """Seconds of `up`, of an `up` with nothing to do, `down --keep-data`, `up` again, and `down`.

    :param program: `nova-docker`.
    :param beside: the user's cloud; this one is named after it.
    :raises NovaDockerError: if one of the steps fails; it is taken away then.
    """
    name = f"{beside}-bench"
    command: list[str | Path] = [program, "--name", name]
    found: dict[str, float] = {}
    _take_away(command)
    try:
        for step, words in _STEPS:
            began = time.monotonic()
            run.run([*command, *words], seconds=_SECONDS)
            found[step] = round(time.monotonic() - began, 2)
            say(f"{step.replace('_', ' ')} of {name}: {found[step]:.1f} s")
    except BaseException:
        _take_away(command)
        raise
    return found


def _take_away(command: list[str | Path]) -> None:
    """Remove what an interrupted run has left; where there is nothing, nothing is done."""
    run.run([*command, "down"], seconds=_SECONDS)
