# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""Look at everything that may say why a server is as it is; nothing is changed."""

import re
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from keystoneauth1.exceptions import ClientException
from openstack.connection import Connection
from openstack.exceptions import SDKException

from novadocker.errors import NovaDockerError
from novadocker.host import journal
from novadocker.host.bootstrap import session
from novadocker.host.evidence import cloud as apis
from novadocker.host.evidence.model import Evidence, NotSeen
from novadocker.host.journal import Entry
from novadocker.host.services import registry
from novadocker.host.services.model import Cloud
from novadocker.host.why import asking, here
from novadocker.host.why.case import Case, moment

_APIS = ("server", "actions", "ports", "image", "flavors", "computes", "agents", "providers")
_SUPERVISOR = "supervisor"
# Clients that poll, and libraries that warn at every call, say nothing of the server.
_NOISE = re.compile(
    r'requestlog.*"(?:GET|HEAD|OPTIONS) (?!/allocation_candidates)'
    r"|The python binding code in neutronclient is deprecated"
)
# A port of the server by which a service names it in what it writes for the server's requests.
_PORT = re.compile(
    r"(?:network-vif-plugged[:-]|for resource |[Pp]ort |id=)"
    r"(?P<port>[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})"
    r"(?= \(type: ports\)| for instance|,network=| within)"
)
_BEFORE = timedelta(seconds=15)


def gather(cloud: Cloud, asked: str) -> Case:
    """Find the server by name or id, and look at all that is about it.

    Where the APIs do not answer, an id is looked up in the logs alone.

    :raises NovaDockerError: if there is no such server, or several, or a name cannot be looked up.
    """
    parts: dict[str, Any] = {
        "now": datetime.now(UTC).isoformat(),
        "hosts": {"docker": cloud.docker_host, "libvirt": cloud.hostname},
        "image": {},
        "container": {},
        "domain": {},
    }
    missing: dict[str, str] = {}
    try:
        with session.administrator(cloud) as connection:
            connection.authorize()
            parts["server"] = asking.find(connection, asked)
            _ask_apis(connection, parts, missing)
    except NovaDockerError as error:
        if not isinstance(error.__cause__, SDKException | ClientException):
            raise
        if not asking.UUID.fullmatch(asked):
            raise NovaDockerError(
                f"The cloud's APIs do not answer, so {asked} cannot be looked up.",
                facts=error.facts[:200],
                hint="Give the server's id: its logs can be read. `nova-docker up` brings the cloud back.",
            ) from error
        missing.update({name: f"an API did not answer: {error.facts[:200]}" for name in _APIS})
    server = parts.get("server") or {}
    uuid = str(server.get("id") or asked)
    _look_here(cloud, uuid, parts, missing)
    since = moment(server["created"]) - _BEFORE if server else datetime.fromtimestamp(0, tz=UTC)
    ports = [each["id"] for each in parts.get("ports") or []]
    requests = [each["request"] for each in parts.get("actions") or []]
    found = about(_read(cloud, since=since), server=uuid, words=[*ports, *requests])
    if not server and not found:
        raise NovaDockerError(
            f"The cloud's APIs do not answer, and no log names {uuid}.",
            facts=missing.get("server", ""),
            hint="nova-docker up",
        )
    upkeep = journal.read(_file(cloud, _SUPERVISOR), service=_SUPERVISOR)
    return Case(
        id=uuid,
        seen=Evidence(parts, missing),
        entries=tuple(found),
        # What was down before the server was asked for may be so still: all of it counts.
        upkeep=tuple(upkeep),
    )


def about(entries: Iterable[Entry], *, server: str, words: Iterable[str]) -> list[Entry]:
    """What was written about a server: under its id, for its requests, and under the ids of its ports."""
    kept = [entry for entry in entries if not _NOISE.search(entry.text)]
    names = {server, *words}
    first = journal.of_server(kept, words=names)
    # Its ports are gone after a failure; what was written for its requests names them.
    ports = {
        found["port"]
        for entry in first
        if server in entry.text or "(type: ports)" in entry.text
        for found in _PORT.finditer(entry.text)
    }
    return first if ports <= names else journal.of_server(kept, words=names | ports)


def _ask_apis(connection: Connection, parts: dict[str, Any], missing: dict[str, str]) -> None:
    server = parts["server"]
    questions: dict[str, Callable[[Connection], Any]] = {
        "actions": lambda to: asking.actions(to, server["id"]),
        "ports": lambda to: asking.ports(to, server["id"]),
        "image": lambda to: asking.image(to, server["image"]) if server["image"] else {},
        "flavors": asking.flavors,
        "computes": apis.computes,
        "agents": apis.agents,
        "providers": asking.providers,
    }

    def put(ask: Callable[[Connection], Any]) -> Callable[[], Any]:
        return lambda: apis.asked(ask, connection)

    _look({name: put(ask) for name, ask in questions.items()}, parts, missing)


def _look_here(cloud: Cloud, uuid: str, parts: dict[str, Any], missing: dict[str, str]) -> None:
    server = parts.get("server") or {}
    ports = [each["id"] for each in parts.get("ports") or []]
    questions: dict[str, Callable[[], Any]] = {
        "supervised": lambda: here.supervised(cloud),
        "southbound": lambda: here.southbound(cloud, ports),
    }
    if server.get("host") != cloud.hostname:
        questions["container"] = lambda: here.container(cloud, uuid)
    if server.get("host") != cloud.docker_host:
        instance = str(server.get("instance") or "")
        questions["domain"] = lambda: here.domain(cloud, uuid, instance=instance)
    _look(questions, parts, missing)


def _look(questions: dict[str, Callable[[], Any]], parts: dict[str, Any], missing: dict[str, str]) -> None:
    def ask(name: str) -> tuple[str, Any, str]:
        try:
            return name, questions[name](), ""
        except (NotSeen, NovaDockerError, OSError) as reason:
            return name, None, str(reason) or type(reason).__name__

    with ThreadPoolExecutor(max_workers=8) as pool:
        for name, value, reason in pool.map(ask, questions):
            if reason:
                parts.pop(name, None)
                missing[name] = reason
            else:
                parts[name] = value


def _read(cloud: Cloud, *, since: datetime) -> Iterator[Entry]:
    names = list(registry.services(cloud))
    return journal.joined(
        [_from(journal.read(_file(cloud, name), service=name), since=since) for name in names]
    )


def _from(entries: Iterable[Entry], *, since: datetime) -> Iterator[Entry]:
    return (entry for entry in entries if entry.time >= since)


def _file(cloud: Cloud, service: str) -> Path:
    return cloud.layout.logs / f"{service}.log"
