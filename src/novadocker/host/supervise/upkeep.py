# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""Make a service run with what was rendered for it, and wait until it is ready."""

import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Protocol

from novadocker import files, poll, run
from novadocker.errors import NovaDockerError
from novadocker.host import probes, processes, render
from novadocker.host.services.model import Cloud, Probe, Running, Service
from novadocker.host.supervise import restarts
from novadocker.host.supervise.door import Supervision

# How often a service that is waited for may end before it is said not to stay up.
_TRIES = 6


class EndLeftovers(Protocol):
    """Ends what nobody supervises in a control group; see `processes.end_unsupervised`."""

    def __call__(self, group: Path, /, *, outlives: Iterable[str]) -> int:
        """Returns how many ended."""


class Upkeep:
    """One cloud's services under their supervisor.

    :param supervision: who keeps them running, and what with.
    :param missing: asks a probe what it misses.
    """

    def __init__(
        self,
        cloud: Cloud,
        *,
        services: Mapping[str, Service],
        supervision: Supervision,
        missing: Callable[[Probe], str | None] = probes.missing,
        end_leftovers: EndLeftovers = processes.end_unsupervised,
        clock: Callable[[], float] = time.monotonic,
        rest: Callable[[float], None] = time.sleep,
    ) -> None:
        self._cloud = cloud
        self._services = dict(services)
        self._supervision = supervision
        self._supervisor = supervision.supervisor
        self._missing = missing
        self._end_leftovers = end_leftovers
        self._clock = clock
        self._rest = rest

    def start_supervisor(self) -> bool:
        """Make the supervisor run with the settings for all services; say whether anything changed."""
        self._supervisor.refuse_foreign(self._supervision.settings)
        written = False
        for file in self._supervision.settings:
            written = files.write(file.path, file.content, mode=file.mode) or written
        alive = self._supervisor.alive()
        if alive and not self._supervisor.reaped():
            # Its child subreaper was killed. Its services would run on, but libvirt would crawl: start anew.
            self._supervisor.end()
            alive = False
        if alive:
            # Even if the file is as it was: a run that was killed may have written it and come no further.
            return self._supervisor.adopt_settings() or written
        # All at once: those that wait for another's answer, in vain by now, take ten seconds to give up.
        with ThreadPoolExecutor(max_workers=len(self._services)) as beside:
            ends = [
                beside.submit(self._end_leftovers, self._group(service), outlives=service.outlives)
                for service in self._services.values()
            ]
        for each in ends:
            each.result()
        group = self._supervision.groups["supervisor"]
        self._end_leftovers(group, outlives=())
        self._supervisor.start(group=group)
        return True

    def ensure(self, service: Service) -> bool:
        """Make the service run with what was rendered, and wait until it is ready.

        :returns: whether there was anything to do or to wait for.
        :raises NovaDockerError: if it does not stay up, or is not ready within its time.
        """
        note = self._cloud.layout.started / service.name
        fingerprint = render.fingerprint(service, self._supervision.scripts[service.name])
        process = self._supervisor.processes()[service.name]
        begun = process.running or process.state == "STARTING"
        if begun and note.is_file() and note.read_text() == fingerprint:
            sure = process.running or not isinstance(service.ready, Running)
            if sure and self._missing(service.ready) is None:
                return False
            try:
                self._await(service)
            except poll.NotInTime:
                # It hangs: it had its time, and who supervises it sees only that it has not ended.
                pass
            else:
                return True
        if not process.at_rest:
            self._supervisor.stop(service.name)
            self._until(
                lambda: self._at_rest(service),
                why=f"{service.name} stopped",
                seconds=service.stop_seconds + 10,
            )
        self._end_leftovers(self._group(service), outlives=service.outlives)
        files.write(note, fingerprint)
        restarts.forget(self._cloud.layout, service.name)
        self._supervisor.begin(service.name)
        self._await(service)
        return True

    def _group(self, service: Service) -> Path:
        return self._supervision.groups[service.name]

    def _at_rest(self, service: Service) -> str | None:
        process = self._supervisor.processes()[service.name]
        return None if process.at_rest else process.state.lower()

    def _await(self, service: Service) -> None:
        log = self._cloud.layout.logs / f"{service.name}.log"

        def missing() -> str | None:
            process = self._supervisor.processes()[service.name]
            tried = restarts.deaths(self._cloud.layout, service.name)
            if process.state == "FATAL" or (tried >= _TRIES and not process.running):
                raise NovaDockerError(
                    f"{service.name} does not stay up.",
                    facts=run.last_words(log) or process.said,
                    hint=f"See {log}.",
                )
            # Who answers is ready, whether or not it has run for the second a supervisor wants to see.
            answers = process.state == "STARTING" and not isinstance(service.ready, Running)
            if not process.running and not answers:
                return f"{process.state.lower()}: {run.last_words(log, lines=2) or process.said}"
            return self._missing(service.ready)

        try:
            self._until(missing, why=f"{service.name} ready", seconds=service.within, hint=f"See {log}.")
        except poll.NotInTime as error:
            words = run.last_words(log)
            raise poll.NotInTime(error.summary, facts=f"{error.facts}\n{words}", hint=error.hint) from error

    def _until(self, ask: Callable[[], str | None], *, why: str, seconds: float, hint: str = "") -> None:
        poll.until(ask, why=why, seconds=seconds, hint=hint, clock=self._clock, rest=self._rest)
