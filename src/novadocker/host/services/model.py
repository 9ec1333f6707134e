# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""What a service is: its program, its files, whom it needs, and how to tell that it is ready."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from novadocker.host.capacity import Split
from novadocker.host.config import HostConfig
from novadocker.host.machine import Machine
from novadocker.host.secrets import Secret, Secrets
from novadocker.host.state import Layout


@dataclass(frozen=True, kw_only=True)
class Cloud:
    """Everything the declarations are made from."""

    config: HostConfig
    layout: Layout
    secrets: Secrets
    machine: Machine
    split: Split
    hostname: str
    kvm: bool
    venv: Path

    @property
    def docker_host(self) -> str:
        """The `host` and hypervisor name of the docker nova-compute."""
        return f"{self.hostname}-docker"

    @property
    def datapath(self) -> str:
        """Open vSwitch's datapath type: the kernel's, or userspace where the kernel has none."""
        return "system" if self.machine.kernel_datapath else "netdev"

    def bin(self, program: str) -> str:
        """The path of a program of the Python environment."""
        return str(self.venv / "bin" / program)

    def url(self, server: str, path: str = "") -> str:
        """Where an API of ours answers."""
        return f"http://127.0.0.1:{self.config.ports[server]}{path}"

    def database(self, name: str, *, user: str = "") -> str:
        """The SQLAlchemy URL of a database of ours (mysqlclient over the unix socket).

        A server takes some 800 queries: in C instead of PyMySQL's Python, they cost a tenth less of all
        processor time.
        """
        owner = user or name
        password = self.secrets[f"{owner}-db"]
        socket = self.layout.mysql_socket
        return f"mysql+mysqldb://{owner}:{password}@localhost/{name}?charset=utf8mb4&unix_socket={socket}"


@dataclass(frozen=True, kw_only=True)
class ConfigFile:
    """A file a service reads. Those with passwords in them are 0600 and belong to the user who reads them."""

    path: Path
    content: str = field(repr=False)
    mode: int = 0o600


@dataclass(frozen=True, kw_only=True)
class Folder:
    """A folder a service writes to."""

    path: Path
    mode: int = 0o750


@dataclass(frozen=True)
class Http:
    """Ready when the URL answers with a status below 500."""

    url: str


@dataclass(frozen=True)
class Socket:
    """Ready when the unix socket accepts a connection."""

    path: Path


@dataclass(frozen=True)
class Tcp:
    """Ready when the port on loopback accepts a connection."""

    port: int


@dataclass(frozen=True)
class Listens:
    """Ready when somebody listens on the port of loopback; who connected would wake it."""

    port: int


@dataclass(frozen=True)
class Command:
    """Ready when the command ends with code 0 and, where `says` is given, writes just that."""

    words: tuple[str, ...]
    says: str = ""


@dataclass(frozen=True)
class Consumed:
    """Ready when somebody takes messages from the queue of the broker on this port."""

    queue: str
    port: int
    user: str
    password: Secret = field(repr=False)


@dataclass(frozen=True)
class Running:
    """Ready when the process runs; its own readiness shows in an API, which `apply` asks later."""


Probe = Http | Socket | Tcp | Listens | Command | Consumed | Running


@dataclass(frozen=True, kw_only=True)
class Service:
    """One real upstream program.

    :ivar needs: services and first-time steps that must be ready before it starts.
    :ivar user: who runs it; root where empty.
    :ivar prepare: shell lines run as root right before it, in its own process (mount namespaces and the
        like).
    :ivar mounts: "slave" or "unchanged": run in a mount namespace of its own with this propagation
        (unshare(1)).
    :ivar own_hostname: with `mounts`: give it a UTS namespace too.
    :ivar own_network: give it a network namespace without an interface: it has no business with the host's.
    :ivar outlives: names of its descendants that hold servers and so survive its end.
    :ivar notifies: "main" or "all": by sd_notify(3) it, or one of its processes, says that it is ready.
    :ivar oom_score: below 0 it ends after others when memory is short; its children inherit it.
    :ivar within: seconds it may take to become ready.
    :ivar stop_seconds: how long it may take to end before it is killed.
    """

    name: str
    command: tuple[str, ...]
    ready: Probe
    needs: tuple[str, ...] = ()
    user: str = ""
    files: tuple[ConfigFile, ...] = ()
    folders: tuple[Folder, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    prepare: tuple[str, ...] = ()
    mounts: str = ""
    own_hostname: bool = False
    own_network: bool = False
    outlives: tuple[str, ...] = ()
    notifies: str = ""
    oom_score: int = 0
    within: float = 60
    stop_seconds: int = 10
    stop_signal: str = "TERM"
