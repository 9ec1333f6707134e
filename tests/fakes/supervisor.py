# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""A supervisor that runs nothing: its programs do what they are told to when they are begun."""

from collections.abc import Callable, Iterable
from pathlib import Path

from novadocker.errors import NovaDockerError
from novadocker.host.services.model import ConfigFile
from novadocker.host.supervise.door import Process

# What a program does when begun: the states it goes through, the last of which stays.
RUNS = ("STARTING", "RUNNING")
FAILS = ("STARTING", "BACKOFF", "FATAL")


class FakeSupervisor:
    """Programs go one state further each time they are looked at.

    :param settings: the programs that its settings name now; read at `start` and `adopt_settings`.
    :param behaviour: for a program that does something else than to run.
    """

    def __init__(
        self,
        *,
        settings: Callable[[], Iterable[str]] = tuple,
        behaviour: dict[str, tuple[str, ...]] | None = None,
    ) -> None:
        self.settings = settings
        self.behaviour = behaviour or {}
        self.calls: list[str] = []
        self.subreaper = True
        self._up = False
        self._ahead: dict[str, list[str]] = {}
        self._begun = 0

    def alive(self) -> bool:
        return self._up

    def reaped(self) -> bool:
        return self._up and self.subreaper

    def start(self, *, group: Path) -> None:
        self.calls.append(f"start in {group}")
        self._up, self.subreaper = True, True
        self._ahead = {name: ["STOPPED"] for name in self.settings()}

    def processes(self) -> dict[str, Process]:
        self._answer()
        found = {}
        for name, ahead in self._ahead.items():
            if len(ahead) > 1:
                ahead.pop(0)
            found[name] = self._process(name, ahead[0])
        return found

    def adopt_settings(self) -> bool:
        self._answer()
        wanted = set(self.settings())
        changed = wanted != set(self._ahead)
        self._ahead = {name: self._ahead.get(name, ["STOPPED"]) for name in wanted}
        return changed

    def begin(self, name: str) -> None:
        self._answer()
        self._known(name)
        self.calls.append(f"begin {name}")
        if self._ahead[name][0] in ("STOPPED", "EXITED", "FATAL"):
            self._begun += 1
            self._ahead[name] = ["STARTING", *self.behaviour.get(name, RUNS)]

    def stop(self, name: str) -> None:
        self._answer()
        self._known(name)
        self.calls.append(f"stop {name}")
        if self._ahead[name][0] not in ("EXITED", "FATAL"):
            self._ahead[name] = ["STOPPED"]

    def refuse_foreign(self, settings: Iterable[ConfigFile]) -> None:
        self.refused_over = list(settings)

    def keep(self) -> bool:
        return False

    def end(self) -> None:
        self._answer()
        self.calls.append("end")
        self._up = False

    def _process(self, name: str, state: str) -> Process:
        pid = 1000 + self._begun if state in ("STARTING", "RUNNING") else 0
        return Process(name=name, state=state, pid=pid, said="Exited too quickly", started=0)

    def _answer(self) -> None:
        if not self._up:
            raise NovaDockerError("The supervisor does not answer.", hint="Run `nova-docker up`.")

    def _known(self, name: str) -> None:
        if name not in self._ahead:
            raise NovaDockerError("The supervisor refused.", facts=f"BAD_NAME: {name}")
