# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""supervisord below a child subreaper: the supervisor where systemd is not PID 1.

libvirt starts probes as daemons and waits until they are gone; a PID 1 that does not reap makes it wait in vain.
`tini -s` reaps at once.
"""

import http.client
import os
import socket
import xmlrpc.client
from dataclasses import dataclass
from pathlib import Path

import psutil
from supervisor.xmlrpc import SupervisorTransport

from novadocker import poll, run
from novadocker.errors import NovaDockerError


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


class Supervisord:
    """One cloud's supervisord, spoken to through its socket."""

    def __init__(self, *, socket_path: Path, settings: Path, python: Path, log: Path, pid_file: Path) -> None:
        self._socket = socket_path
        self._settings = settings
        self._python = python
        self._log = log
        self._pid_file = pid_file

    def alive(self) -> bool:
        """Whether it answers."""
        try:
            self._call("getState")
        except NovaDockerError:
            return False
        return True

    def pid(self) -> int:
        """The pid of the running supervisord, 0 if none runs."""
        try:
            return int(self._call("getPID"))  # type: ignore[call-overload, no-any-return]
        except NovaDockerError:
            return 0

    def reaped(self) -> bool:
        """Whether its parent is the child subreaper it was started below."""
        try:
            parent = psutil.Process(self.pid()).parent()
        except psutil.NoSuchProcess:
            return False
        return parent is not None and parent.name() == "tini"

    def start(self, *, group: Path) -> None:
        """Start it, in the control group `group`, and wait until it answers."""
        self._socket.unlink(missing_ok=True)
        enter = f'echo $$ > {group}/cgroup.procs && exec "$@"'
        program = [self._python.with_name("supervisord"), "-c", self._settings]
        environment = {
            "PATH": os.environ.get("PATH", "/usr/sbin:/usr/bin:/sbin:/bin"),
            "LC_ALL": "C.UTF-8",
            "HOME": "/",
        }
        run.spawn_detached(
            ["/bin/sh", "-c", enter, "sh", "tini", "-s", "--", self._python, *program],
            log=self._log,
            environment=environment,
        )
        poll.until(
            lambda: None if self.alive() else run.last_words(self._log) or "no answer on its socket",
            why="The supervisor's first answer", seconds=20, pause=0.05, hint=f"See {self._log}.",
        )  # fmt: skip

    def processes(self) -> dict[str, Process]:
        """All services it knows."""
        return {
            info["name"]: Process(
                name=info["name"], state=info["statename"], pid=info["pid"], said=info["spawnerr"] or info["description"],
                started=info["start"],
            )
            for info in self._call("getAllProcessInfo")  # type: ignore[attr-defined]
        }  # fmt: skip

    def adopt_settings(self) -> None:
        """Read its configuration file again: new programs are added, changed ones stopped and added anew."""
        added, changed, removed = self._call("reloadConfig")[0]  # type: ignore[index]
        for name in [*changed, *removed]:
            self.stop(name)
            self._call("removeProcessGroup", name)
        for name in [*added, *changed]:
            self._call("addProcessGroup", name)

    def begin(self, name: str) -> None:
        """Ask for the service's start; whether it got ready is for its probe to say."""
        self._call("startProcess", name, False, tolerate=(_ALREADY_STARTED,))

    def stop(self, name: str) -> None:
        """Stop the service and wait for its end."""
        self._call("stopProcess", name, True, tolerate=(_NOT_RUNNING,))

    def end(self) -> None:
        """Stop every service, then the supervisor."""
        process = psutil.Process(self.pid())
        self._call("shutdown")
        process.wait(timeout=90)

    def _call(self, method: str, *arguments: object, tolerate: tuple[int, ...] = ()) -> object:
        # A transport of its own for each call: they come from several threads.
        transport = SupervisorTransport(None, None, f"unix://{self._socket}")
        server = xmlrpc.client.ServerProxy("http://127.0.0.1", transport=transport)
        try:
            return getattr(server.supervisor, method)(*arguments)
        except xmlrpc.client.Fault as error:
            if error.faultCode in tolerate:
                return None
            raise NovaDockerError(
                f"The supervisor refused {method}{arguments}.",
                facts=error.faultString,
                hint=f"See {self._log}.",
            ) from error
        except (OSError, http.client.HTTPException, socket.timeout) as error:
            raise NovaDockerError(
                "The supervisor does not answer.",
                facts=f"{self._socket}: {error}",
                hint="Run `nova-docker up`.",
            ) from error
        finally:
            transport.close()


# supervisor.xmlrpc.Faults
_ALREADY_STARTED = 60
_NOT_RUNNING = 70
