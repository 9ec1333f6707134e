# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""Servers of the instrument's own, asked for and deleted as a user would: through Nova's API."""

import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from openstack.connection import Connection

from novadocker import poll
from novadocker.errors import NovaDockerError
from novadocker.host.bootstrap import computes, content, databases
from novadocker.host.services.model import Cloud

PREFIX = "nova-docker-bench"
# As small as serves a page, or boots: a hundred containers fit a machine that runs a cloud.
VCPUS, MEMORY_MB, VM_MEMORY_MB = 1, 32, 128
# Since it, a request may name its host; what is asked for here is answered as to any client of today.
_MICROVERSION = "2.74"
# Of a hundred requests at once the last is answered late; that is what is to be seen.
_PATIENCE = 300.0


@dataclass(frozen=True)
class Kind:
    """What a server is made of."""

    name: str
    image: str
    flavor: str
    network: str


@dataclass(frozen=True)
class Asked:
    """A server that was asked for.

    :ivar began: when the API was called, in seconds of the epoch.
    :ivar accepted: seconds until it had answered.
    :ivar request: the id of the request.
    """

    id: str
    began: float
    accepted: float
    request: str


class Api:
    """Nova's API, at the least cost for the client: no objects are made of answers."""

    def __init__(self, connection: Connection) -> None:
        self._compute = connection.compute

    def create(self, name: str, kind: Kind) -> Asked:
        """Ask for a server."""
        body = {
            "server": {
                "name": name,
                "imageRef": kind.image,
                "flavorRef": kind.flavor,
                "networks": [{"uuid": kind.network}],
            }
        }
        began, clock = time.time(), time.monotonic()
        answer = self._compute.post("/servers", json=body, microversion=_MICROVERSION, timeout=_PATIENCE)
        took = time.monotonic() - clock
        if answer.status_code != 202:
            raise NovaDockerError(f"Nova refused the server {name}.", facts=answer.text[:500])
        return Asked(
            id=answer.json()["server"]["id"],
            began=began,
            accepted=took,
            request=answer.headers["x-openstack-request-id"],
        )

    def delete(self, server: str) -> float:
        """Ask for the end of a server; returns when that was asked, in seconds of the epoch.

        :raises NovaDockerError: if Nova refuses; one that has gone is fine.
        """
        began = time.time()
        answer = self._compute.delete(f"/servers/{server}", timeout=_PATIENCE)
        if answer.status_code not in (204, 404):
            raise NovaDockerError(f"Nova refused the end of the server {server}.", facts=answer.text[:500])
        return began

    def look(self, server: str) -> dict[str, Any] | None:
        """Nova's record of a server; None if there is none any more."""
        answer = self._compute.get(f"/servers/{server}", microversion=_MICROVERSION)
        return answer.json()["server"] if answer.status_code == 200 else None

    def state(self, server: str) -> tuple[str, str]:
        """The status of a server, `gone` without one, and why it failed."""
        record = self.look(server) or {}
        return str(record.get("status", "gone")), str((record.get("fault") or {}).get("message", ""))

    def statuses(self) -> dict[str, str]:
        """The status of each of the instrument's servers, by id."""
        answer = self._compute.get(f"/servers/detail?name=^{PREFIX}-", microversion=_MICROVERSION)
        return {each["id"]: each["status"] for each in answer.json()["servers"]}


class Addresses:
    """Where servers can be reached, from Neutron's own tables: a question to its API is no small one."""

    def __init__(self, cursor: Any) -> None:
        self._cursor = cursor
        self._lock = threading.Lock()

    def of(self, server: str) -> str:
        """Return the first address of a server.

        :raises NovaDockerError: if it has none.
        """
        with self._lock:
            self._cursor.execute(
                "SELECT a.ip_address FROM neutron.ports p JOIN neutron.ipallocations a ON a.port_id = p.id"
                " WHERE p.device_id = %s LIMIT 1",
                (server,),
            )
            row = self._cursor.fetchone()
        if row is None:
            raise NovaDockerError(f"The server {server} has no address.")
        return str(row[0])


@contextmanager
def addresses(cloud: Cloud) -> Iterator[Addresses]:
    """Look addresses up while this lasts."""
    with databases.root_session(cloud) as cursor:
        yield Addresses(cursor)


def network(connection: Connection) -> str:
    """The network that `up` has made for servers."""
    return str(connection.network.find_network(content.PRIVATE, ignore_missing=False).id)


def flavor(
    connection: Connection,
    *,
    memory_mb: int,
    disk_gb: int,
    name: str = PREFIX,
    extra_specs: Mapping[str, str] | None = None,
) -> str:
    """Make a flavor of the instrument's size."""
    made = connection.compute.create_flavor(
        name=name, vcpus=VCPUS, ram=memory_mb, disk=disk_gb, is_public=False
    )
    if extra_specs:
        connection.compute.create_flavor_extra_specs(made, extra_specs)
    return str(made.id)


def disk_gb(connection: Connection, cloud: Cloud, *, count: int) -> int:
    """A root disk of 1 GiB, or none of its own where so many do not fit.

    :raises NovaDockerError: if as many servers do not fit at all.
    """
    stock = computes.inventories(connection)[cloud.docker_host]
    fit = {
        name: int((each["total"] - each["reserved"]) * each["allocation_ratio"])
        for name, each in stock.items()
    }
    wanted = {"VCPU": count * VCPUS, "MEMORY_MB": count * MEMORY_MB}
    short = [f"{name}: {need} needed, {fit[name]} there" for name, need in wanted.items() if fit[name] < need]
    if short:
        raise NovaDockerError(
            f"{count} servers do not fit the share of containers.",
            facts="; ".join(short),
            hint="Choose less: --at-once, or --servers for the part `idle`.",
        )
    return 1 if fit["DISK_GB"] >= count else 0


def upload(connection: Connection, name: str, file: str, *, container_format: str) -> str:
    """Store an image."""
    made = connection.image.create_image(
        name=f"{PREFIX}-{name}",
        filename=file,
        disk_format="raw",
        container_format=container_format,
        wait=True,
    )
    return str(made.id)


def remove_all(connection: Connection) -> None:
    """Delete what is the instrument's, also of a run that was interrupted."""
    api = Api(connection)
    for server in api.statuses():
        api.delete(server)
    poll.until(
        lambda: f"{len(left)} servers" if (left := api.statuses()) else None,
        why="The end of the instrument's servers", seconds=180,
    )  # fmt: skip
    for image in connection.image.images():
        if str(image.name).startswith(f"{PREFIX}-"):
            connection.image.delete_image(image)
    for one in connection.compute.flavors(is_public=None):
        if str(one.name).startswith(PREFIX):
            connection.compute.delete_flavor(one)
