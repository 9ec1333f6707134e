# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""supervisord below a child subreaper: the supervisor where systemd is not PID 1.

libvirt starts probes as daemons and waits until they are gone; a PID 1 that does not reap makes it wait in
vain. `tini -s` reaps at once.
"""

import http.client
import os
import socket
import xmlrpc.client
from collections.abc import Iterable
from pathlib import Path

import psutil

from novadocker import poll, run
from novadocker.errors import NovaDockerError
from novadocker.host import render
from novadocker.host.services import shared
from novadocker.host.services.model import Cloud, ConfigFile
from novadocker.host.supervise.door import Process

# supervisor.xmlrpc.Faults
_ALREADY_STARTED = 60
_NOT_RUNNING = 70

# It answers at once, unless it is asked to wait for a service's end (`stopwaitsecs` is 20 at most).
_ANSWER_SECONDS = 10.0
_STOP_SECONDS = 60.0
_START_SECONDS = 20
_END_SECONDS = 90


def of(cloud: Cloud) -> "Supervisord":
    """The cloud's supervisord."""
    layout = cloud.layout
    return Supervisord(
        socket_path=layout.supervisor_socket,
        settings=layout.etc / "supervisord.conf",
        python=cloud.venv / "bin" / "python",
        log=layout.logs / "supervisor-start.log",
        cache=shared.cache(cloud, ""),
    )


class Supervisord:
    """One cloud's supervisord, spoken to through its socket.

    :param cache: where it keeps the list of all plugins of its Python.
    :param patience: seconds it may take to answer what it can answer at once.
    """

    def __init__(
        self,
        *,
        socket_path: Path,
        settings: Path,
        python: Path,
        log: Path,
        cache: Path,
        patience: float = _ANSWER_SECONDS,
    ) -> None:
        self._socket = socket_path
        self._settings = settings
        self._python = python
        self._log = log
        self._cache = cache
        self._patience = patience

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
        # It loads what services of ours have in common, and these start as copies of it.
        program: list[str | Path] = ["-P", "-m", "novadocker.programs.supervisord", "-c", self._settings]
        environment = {
            "PATH": os.environ.get("PATH", "/usr/sbin:/usr/bin:/sbin:/bin"),
            "LC_ALL": "C.UTF-8",
            "HOME": "/",
            # As services have it: their copies cannot choose it any more.
            **render.FRUGAL,
            "XDG_CACHE_HOME": str(self._cache),
            # A copy's title stands where these words do, and may be longer than those of the first.
            "ROOM_FOR_TITLES": "." * 1024,
        }
        run.spawn_detached(
            ["/bin/sh", "-c", enter, "sh", "tini", "-s", "--", self._python, *program],
            log=self._log,
            environment=environment,
        )
        poll.until(
            lambda: None if self.alive() else run.last_words(self._log) or "no answer on its socket",
            why="The supervisor's first answer",
            seconds=_START_SECONDS,
            pause=0.05,
            hint=f"See {self._log}.",
        )

    def processes(self) -> dict[str, Process]:
        """All services it knows."""
        return {
            info["name"]: Process(
                name=info["name"],
                state=info["statename"],
                pid=info["pid"],
                said=info["spawnerr"] or info["description"],
                started=info["start"],
            )
            for info in self._call("getAllProcessInfo")  # type: ignore[attr-defined]
        }

    def adopt_settings(self) -> bool:
        """Read its configuration file again: new programs are added, changed ones stopped and added anew.

        :returns: whether there were any.
        """
        added, changed, removed = self._call("reloadConfig")[0]  # type: ignore[index]
        for name in [*changed, *removed]:
            self.stop(name)
            self._call("removeProcessGroup", name)
        for name in [*added, *changed]:
            self._call("addProcessGroup", name)
        return bool(added or changed or removed)

    def begin(self, name: str) -> None:
        """Ask for the service's start; whether it got ready is for its probe to say."""
        self._call("startProcess", name, False, tolerate=(_ALREADY_STARTED,))

    def stop(self, name: str) -> None:
        """Stop the service and wait for its end."""
        self._call("stopProcess", name, True, tolerate=(_NOT_RUNNING,), seconds=_STOP_SECONDS)

    def end(self) -> None:
        """Stop every service, then the supervisor."""
        pid = self.pid()
        self._call("shutdown")
        poll.until(
            lambda: None if _ended(pid) else f"pid {pid} runs",
            why="The supervisor's end",
            seconds=_END_SECONDS,
            hint=f"See {self._log.with_name('supervisor.log')}.",
        )

    def refuse_foreign(self, settings: Iterable[ConfigFile]) -> None:
        """Its settings lie in the cloud's own folder."""

    def keep(self) -> bool:
        """Who is PID 1 here starts nothing of ours at a boot."""
        return False

    def _call(
        self,
        method: str,
        *arguments: str | bool,
        tolerate: tuple[int, ...] = (),
        seconds: float = 0,
    ) -> object:
        # A transport of its own for each call: they come from several threads.
        transport = _Transport(self._socket, seconds=seconds or self._patience)
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
        except (OSError, http.client.HTTPException, xmlrpc.client.Error) as error:
            raise NovaDockerError(
                "The supervisor does not answer.",
                facts=f"{self._socket}: {error}",
                hint="Run `nova-docker up`.",
            ) from error
        finally:
            transport.close()


def _ended(pid: int) -> bool:
    # Without its subreaper it may stay a zombie.
    try:
        return bool(psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True


class _Transport(xmlrpc.client.Transport):
    """XML-RPC through a unix socket; supervisor's own would wait for ever for one that was halted."""

    def __init__(self, path: Path, *, seconds: float) -> None:
        super().__init__()
        self._path = path
        self._seconds = seconds

    def make_connection(self, host: object) -> http.client.HTTPConnection:
        connection = _Connection("localhost", timeout=self._seconds)
        connection.path = self._path
        self._connection = (str(host), connection)
        return connection


class _Connection(http.client.HTTPConnection):
    path: Path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self.path))
