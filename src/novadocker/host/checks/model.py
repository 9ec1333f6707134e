# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""A check and what it finds."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from novadocker.host.evidence.model import Evidence, NotSeen

Status = Literal["ok", "warn", "fail", "skip"]


@dataclass(frozen=True, kw_only=True)
class Trouble:
    """What is wrong, as a check's judge tells it.

    :ivar seen: the facts, a line each.
    :ivar cause: one sentence.
    :ivar fix: a command, or what to do where there is none.
    :ivar safe: whether `--fix` may run the command: it disturbs nothing that works.
    :ivar severe: it breaks something now; else it will, or may.
    """

    seen: tuple[str, ...]
    cause: str
    fix: str
    safe: bool = False
    severe: bool = True


Judge = Callable[[Evidence], list[Trouble]]


@dataclass(frozen=True, kw_only=True)
class Check:
    """One thing that can be wrong.

    :ivar id: short and stable: scripts refer to it.
    :ivar asks: the question it answers.
    """

    id: str
    asks: str
    judge: Judge


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What a check found: one trouble, that all is well, or that it could not look."""

    id: str
    status: Status
    asks: str
    evidence: tuple[str, ...] = ()
    cause: str = ""
    fix: str = ""
    safe: bool = False

    def to_dict(self) -> dict[str, Any]:
        """As plain values."""
        return asdict(self)


def moment(text: str) -> datetime:
    """A time as APIs write it; UTC where it names no zone."""
    found = datetime.fromisoformat(text.replace("Z", "+00:00"))
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def carry_out(check: Check, evidence: Evidence) -> list[Finding]:
    """Judge the evidence; one finding per trouble, or one that says there is none."""
    try:
        troubles = check.judge(evidence)
    except NotSeen as reason:
        return [Finding(id=check.id, status="skip", asks=check.asks, cause=f"Not looked at: {reason}.")]
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        # Evidence of another version, or of a machine that answers as none did before.
        told = f"the evidence is of another shape ({type(error).__name__}: {error})"
        return [Finding(id=check.id, status="skip", asks=check.asks, cause=f"Not looked at: {told}.")]
    found = [
        Finding(
            id=check.id, status="fail" if each.severe else "warn", asks=check.asks,
            evidence=each.seen, cause=each.cause, fix=each.fix, safe=each.safe,
        )
        for each in troubles
    ]  # fmt: skip
    return found or [Finding(id=check.id, status="ok", asks=check.asks)]
