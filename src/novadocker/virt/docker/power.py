# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""What a container is doing, and what that is called in Nova (pure)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum


class Power(IntEnum):
    """Nova's power states (nova.compute.power_state), the ones a container can be in."""

    NOSTATE = 0
    RUNNING = 1
    PAUSED = 3
    SHUTDOWN = 4


@dataclass(frozen=True, kw_only=True)
class Container:
    """One container as the daemon describes it.

    :param status: created, running, paused, restarting, removing, exited or dead.
    :param pid: its first process on the host; 0 when it does not run.
    """

    id: str
    name: str
    status: str
    pid: int = 0
    exit_code: int = 0
    oom_killed: bool = False
    error: str = ""
    finished_at: str = ""
    image: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)

    @property
    def running(self) -> bool:
        """Whether it has processes, frozen or not."""
        return self.status in {"running", "paused"}


_KILLED = 128 + 9

_POWER = {
    "created": Power.SHUTDOWN,
    "running": Power.RUNNING,
    # Docker restarts only what has a restart policy; ours have none, so this is a stop in progress.
    "restarting": Power.RUNNING,
    "paused": Power.PAUSED,
    "removing": Power.SHUTDOWN,
    # However it ended. Nova takes note of an event of an end only where it finds this state, not CRASHED
    # (nova/compute/manager.py, handle_lifecycle_event); how it ended is told by the console log.
    "exited": Power.SHUTDOWN,
    "dead": Power.SHUTDOWN,
}


def state(container: Container) -> Power:
    """Return the power state of a container."""
    return _POWER.get(container.status, Power.NOSTATE)


def epitaph(container: Container) -> str:
    """Return how a container's process ended, in words for the server's owner; empty while it runs."""
    if container.running or container.status == "created":
        return ""
    code = f"exit code {container.exit_code}"
    if container.oom_killed and container.exit_code == _KILLED:
        return f"was killed: it used more memory than its flavor has ({code})"
    if container.oom_killed:
        return f"ended with {code}; before, it used more memory than its flavor has, and lost a process by it"
    if container.exit_code > 128:
        return f"was ended by signal {container.exit_code - 128} ({code})"
    return f"ended with {code}"
