# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""Values of a rendering: what was asked for, what was found, and what comes out."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

# What lies where on the host, once the steps are done. No folder holds two services' compute_id.
SERVICE = "openstack-nova-docker"
ENGINE = "openstack-nova-docker-engine"
SETTINGS = Path("/etc/nova/nova-docker")
OVERLAY = SETTINGS / "nova-docker.conf"
DAEMON = SETTINGS / "daemon.json"
RUNTIME = SETTINGS / "runtime"
SANDBOX_RUNTIME = SETTINGS / "sandbox-runtime"
UNITS = Path("/etc/systemd/system")
STATE = Path("/var/lib") / SERVICE
STORAGE = Path("/var/lib") / ENGINE
DISK = Path(f"/var/lib/{ENGINE}.btrfs")
ENGINE_RUN = Path("/run") / ENGINE
GATES = STATE / "gates"
NAMESPACES = STATE / "namespaces"
SOCKET = ENGINE_RUN / "docker.sock"

# Who runs a command.
HOST = "the compute host"
CONTROLLER = "a controller"
SCHEDULERS = "every host of nova-scheduler and nova-api"
CLIENT = "any machine with the administrator's credentials"


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What the operator said; what is empty or zero is found out.

    :ivar memory_mb: for containers, MiB.
    :ivar disk_gb: for containers, GiB.
    :ivar docker_socket: a daemon that runs already; without it one of our own is rendered.
    :ivar package: what pip is told to install.
    """

    nova_conf: Path = Path("/etc/nova/nova.conf")
    scheduler_conf: Path | None = None
    host: str = ""
    binding_host: str = ""
    backend: str = ""
    ovsdb: Path | None = None
    docker_socket: Path | None = None
    nova_compute: Path | None = None
    controller_python: str = ""
    cpus: int = 0
    memory_mb: int = 0
    disk_gb: int = 0
    package: str = "nova-docker"


@dataclass(frozen=True, kw_only=True)
class Fact:
    """Something the files are made from, and where it came from."""

    what: str
    value: str
    source: str


@dataclass(frozen=True, kw_only=True)
class Problem:
    """Something in the way.

    :ivar stops: the files do not work before it is solved.
    """

    what: str
    do: str
    stops: bool = False


@dataclass(frozen=True, kw_only=True)
class Rendered:
    """A file as it is written to the folder, and its place on the host; lines to be added have none."""

    name: str
    content: str
    place: Path | None = None
    mode: int = 0o644


@dataclass(frozen=True, kw_only=True)
class Command:
    """A line for a shell, and on which machine."""

    line: str
    where: str = HOST


@dataclass(frozen=True, kw_only=True)
class Step:
    """One thing to do.

    :ivar text: what it is for, or what has to be done by hand.
    :ivar check: commands that end with code 0 when it is done; each with what stands in its answer.
    :ivar undo: what takes it back; a sentence where that is by hand.
    """

    title: str
    text: str
    do: tuple[Command, ...] = ()
    check: tuple[tuple[Command, str], ...] = ()
    undo: tuple[Command, ...] = ()
    undo_text: str = ""


@dataclass(frozen=True, kw_only=True)
class Overlay:
    """All that comes out."""

    facts: tuple[Fact, ...]
    problems: tuple[Problem, ...]
    files: tuple[Rendered, ...]
    steps: tuple[Step, ...]

    @property
    def works(self) -> bool:
        """Whether nothing stands in the way."""
        return not any(problem.stops for problem in self.problems)

    def to_dict(self) -> dict[str, Any]:
        """As plain values."""
        values = asdict(self)
        for file in values["files"]:
            file["place"] = str(file["place"] or "")
            file["mode"] = f"{file['mode']:04o}"
        return {**values, "works": self.works}
