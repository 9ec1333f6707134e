# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""Carry out steps that need one another: as many at once as can be, each told when it is done."""

import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Protocol

from novadocker.errors import NovaDockerError


@dataclass(frozen=True, kw_only=True)
class Step:
    """One piece of work that may be run again.

    :ivar act: does it; returns whether anything changed.
    """

    name: str
    act: Callable[[], bool]
    needs: tuple[str, ...] = ()
    kind: str = "step"


class Listener(Protocol):
    """Who is told how the steps go."""

    def began(self, step: Step) -> None:
        """`step` starts now."""

    def ended(self, step: Step, *, seconds: float, changed: bool) -> None:
        """`step` is done."""

    def failed(self, step: Step, error: NovaDockerError, *, seconds: float) -> None:
        """`step` failed."""


def carry_out(steps: list[Step], *, listener: Listener, at_once: int = 12) -> int:
    """Run every step after those it needs; returns how many changed something.

    After a failure nothing new starts, what runs is waited for, and the first error is raised.

    :raises NovaDockerError: what the failed step raised; anything else it raised becomes the cause of one
        that names the step.
    """
    waiting = {step.name: step for step in steps}
    if len(waiting) != len(steps):
        twice = sorted(name for name, count in Counter(step.name for step in steps).items() if count > 1)
        raise NovaDockerError(f"Several steps have the same name: {', '.join(twice)}.")
    unknown = {need for step in steps for need in step.needs} - set(waiting)
    if unknown:
        raise NovaDockerError(f"Steps need what nobody does: {', '.join(sorted(unknown))}.")
    done: set[str] = set()
    running: dict[Future[bool], tuple[Step, float]] = {}
    first_error: NovaDockerError | None = None
    changes = 0
    with ThreadPoolExecutor(max_workers=at_once) as pool:
        while waiting or running:
            ready = [step for step in waiting.values() if done.issuperset(step.needs)]
            for step in ready if first_error is None else []:
                del waiting[step.name]
                listener.began(step)
                running[pool.submit(step.act)] = (step, time.monotonic())
            if not running:
                if first_error is None:
                    raise NovaDockerError(
                        f"Steps need one another in a circle: {', '.join(sorted(waiting))}."
                    )
                break
            finished, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in finished:
                step, since = running.pop(future)
                seconds = time.monotonic() - since
                raised = future.exception()
                if raised is not None:
                    error = _told(step, raised)
                    listener.failed(step, error, seconds=seconds)
                    first_error = first_error or error
                    continue
                changed = future.result()
                listener.ended(step, seconds=seconds, changed=changed)
                changes += changed
                done.add(step.name)
    if first_error is not None:
        raise first_error
    return changes


def _told(step: Step, raised: BaseException) -> NovaDockerError:
    """The error a person reads. A step may stumble over anything: a full disk, a fact of the wrong shape."""
    if isinstance(raised, NovaDockerError):
        return raised
    kind = "" if isinstance(raised, OSError) else f"{type(raised).__name__}: "
    error = NovaDockerError(f"The step {step.name} failed.", facts=f"{kind}{raised}")
    error.__cause__ = raised
    return error
