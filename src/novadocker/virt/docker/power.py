# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""What a container is doing, and what that is called in Nova (pure)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import IntEnum


class Power(IntEnum):
    """Nova's power states (nova.compute.power_state), the ones a container can be in."""

    NOSTATE = 0
    RUNNING = 1
    PAUSED = 3
    SHUTDOWN = 4
    SUSPENDED = 7


@dataclass(frozen=True, kw_only=True)
class Container:
    """One container as the daemon describes it.

    :param status: created, running, paused, restarting, removing, exited or dead.
    :param pid: its first process on the host; 0 when it does not run.
    :param joins: whether it lives in another container's network namespace.
    :param may_reboot: whether its processes may call reboot(2), which ends their own namespace only.
    """

    id: str
    name: str
    status: str
    pid: int = 0
    exit_code: int = 0
    oom_killed: bool = False
    error: str = ""
    started_at: str = ""
    finished_at: str = ""
    image: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    may_reboot: bool = False
    joins: bool = False

    @property
    def running(self) -> bool:
        """Whether it has processes, frozen or not."""
        return self.status in {"running", "paused"}


_KILLED = 128 + 9
_REBOOTED = 128 + 1
_LEAST_UPTIME = 1.0

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


def state(container: Container, *, suspended: bool = False) -> Power:
    """Return the power state of a container.

    :param suspended: whether a frozen one was asked to be suspended, not paused: Docker knows one freezing.
    """
    if container.status == "paused" and suspended:
        return Power.SUSPENDED
    return _POWER.get(container.status, Power.NOSTATE)


def reboot_wanted(container: Container) -> bool:
    """Say whether a container has ended because somebody inside it asked for a reboot.

    The kernel ends a namespace's process 1 by SIGHUP then, and by SIGINT for a halt (reboot(2)). Where no
    process may ask, one that died of SIGHUP is simply dead; and one that ends as soon as it begins stays so.
    """
    if container.status != "exited" or container.exit_code != _REBOOTED or not container.may_reboot:
        return False
    ran = datetime.fromisoformat(container.finished_at) - datetime.fromisoformat(container.started_at)
    return ran.total_seconds() >= _LEAST_UPTIME


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
