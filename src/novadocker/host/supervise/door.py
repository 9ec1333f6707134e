# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""Who keeps services running, as those see it who have them run."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from novadocker.host.services.model import ConfigFile


@dataclass(frozen=True, kw_only=True)
class Process:
    """What the supervisor says of a service; `pid` is 0 where none runs."""

    name: str
    state: str
    pid: int
    said: str
    started: float

    @property
    def running(self) -> bool:
        """Whether its program runs."""
        return self.state == "RUNNING"

    @property
    def at_rest(self) -> bool:
        """Whether nothing of it runs and nothing will until `begin`."""
        return self.state in ("STOPPED", "EXITED", "FATAL")


class Supervisor(Protocol):
    """Who keeps a cloud's services running: supervisord, or systemd where it is PID 1."""

    def alive(self) -> bool:
        """Whether it answers."""

    def reaped(self) -> bool:
        """Whether what its services leave behind is reaped at once."""

    def start(self, *, group: Path) -> None:
        """Start it and wait until it answers."""

    def refuse_foreign(self, settings: Iterable[ConfigFile]) -> None:
        """Refuse to write settings over somebody else's."""

    def processes(self) -> dict[str, Process]:
        """All services it knows."""

    def adopt_settings(self) -> bool:
        """Read its settings again; say whether they differed."""

    def begin(self, name: str) -> None:
        """Ask for a service's start."""

    def stop(self, name: str) -> None:
        """Stop a service and wait for its end."""

    def end(self) -> None:
        """Stop every service, then the supervisor."""

    def keep(self) -> bool:
        """Have the cloud brought back at the next boot, where this can; say whether that was new."""


@dataclass(frozen=True, kw_only=True)
class Supervision:
    """How a cloud's services run.

    :ivar settings: what the supervisor reads.
    :ivar scripts: what starts each service.
    :ivar groups: the control group of each service, and of the supervisor's own process where it is ours.
    :ivar makes_groups: whether the supervisor makes the groups; elsewhere they are made before it starts.
    """

    supervisor: Supervisor
    settings: tuple[ConfigFile, ...]
    scripts: Mapping[str, ConfigFile]
    groups: Mapping[str, Path]
    makes_groups: bool = False
