# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""What an `up` would change, found by looking alone: `up --dry-run`."""

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from novadocker.host import render
from novadocker.host.secrets import Secrets
from novadocker.host.services.model import Cloud, ConfigFile, Service
from novadocker.host.supervise.door import Supervision


@dataclass(frozen=True, kw_only=True)
class Change:
    """One thing that would be done.

    :ivar kind: `file` or `service`.
    :ivar what: `new`, `changed`, `start` or `restart`.
    :ivar why: for a file the lines that differ, without passwords; for a service the cause.
    """

    kind: str
    name: str
    what: str
    why: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """As plain values."""
        return asdict(self)


def changes(
    cloud: Cloud, services: Mapping[str, Service], *, supervision: Supervision, running: set[str]
) -> list[Change]:
    """Compare the cloud as it is to be with its files, and with what each running service was started with.

    :param supervision: what starts each service, and what its supervisor reads.
    :param running: names of the services that run now.
    """
    found: dict[Path, Change] = {}
    restarts: list[Change] = []
    for service in services.values():
        script = supervision.scripts[service.name]
        for file in (*service.files, script):
            change = _file(cloud, file)
            if change:
                found[file.path] = change
        restarts += _service(cloud, service, script, running=service.name in running, changed=set(found))
    for settings in supervision.settings:
        if change := _file(cloud, settings):
            found[settings.path] = change
    return [*found.values(), *restarts]


def _file(cloud: Cloud, file: ConfigFile) -> Change | None:
    name = str(file.path)
    if not file.path.is_file():
        return Change(kind="file", name=name, what="new", why=(f"{len(file.content.splitlines())} lines",))
    present = file.path.read_text()
    if present == file.content:
        return None
    lines = difflib.unified_diff(present.splitlines(), file.content.splitlines(), lineterm="", n=0)
    shown = tuple(
        _without(cloud.secrets, line) for line in lines if line[:3] not in ("---", "+++") and line[:2] != "@@"
    )
    return Change(kind="file", name=name, what="changed", why=shown)


def _service(
    cloud: Cloud, service: Service, script: ConfigFile, *, running: bool, changed: set[Path]
) -> Iterator[Change]:
    if not running:
        yield Change(kind="service", name=service.name, what="start", why=("it does not run",))
        return
    note = cloud.layout.started / service.name
    if note.is_file() and note.read_text() == render.fingerprint(service, script):
        return
    files = sorted(file.path.name for file in (*service.files, script) if file.path in changed)
    why = f"{', '.join(files)} changes" if files else "it was started with other files than there are now"
    yield Change(kind="service", name=service.name, what="restart", why=(why,))


def _without(secrets: Secrets, line: str) -> str:
    for value in secrets.values.values():
        line = line.replace(str(value), "***")
    return line
