# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""What servers take, from the API call to ACTIVE, one at a time; and what the cloud weighs."""

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

from openstack.connection import Connection

from novadocker import poll
from novadocker.errors import NovaDockerError
from novadocker.host import observe
from novadocker.host.bootstrap import session
from novadocker.host.images.build import demo_images
from novadocker.host.services.model import Cloud

FLAVOR = "m1.small"
# The API has no event for a server's state. A question costs its processors some 40 ms: asked ten times a
# second it slows what it measures.
_PAUSE = 0.25
_PREFIX = "nova-docker-bench"


@dataclass(frozen=True, kw_only=True)
class Boots:
    """Seconds from the API call until it returned, and until ACTIVE; from the call to delete until gone."""

    kind: str
    accepted: list[float]
    active: list[float]
    gone: list[float]

    def medians(self) -> dict[str, float]:
        """The middle value of each phase, seconds."""
        return {name: round(median(values), 2) for name, values in asdict(self).items() if name != "kind"}


def measure(cloud: Cloud, *, servers: int, say: Callable[[str], None]) -> dict[str, Any]:
    """Boot and delete `servers` containers, then as many VMs, one at a time; everything made here is removed.

    :raises NovaDockerError: if a server does not become ACTIVE.
    """
    with session.administrator(cloud, project=session.PROJECT) as connection:
        images = demo_images(cloud.layout.images, say=say)
        made = {
            "container": _upload(connection, "container", Path(images.container), container_format="docker"),
            "vm": _upload(connection, "vm", Path(images.machine), container_format="bare"),
        }
        try:
            # The first boot of an image also fetches it to its hypervisor; that is not what is asked for.
            boots = [
                _boots(connection, kind, image, servers=servers, say=say) for kind, image in made.items()
            ]
        finally:
            for image in made.values():
                connection.image.delete_image(image)
    seen = observe.observe(cloud)
    return {
        "boots": [asdict(each) | {"median": each.medians()} for each in boots],
        "control_plane_mb": sum(service.memory_mb for service in seen.services),
        "services_mb": {service.name: service.memory_mb for service in seen.services},
    }


def _upload(connection: Connection, kind: str, file: Path, *, container_format: str) -> str:
    image = connection.image.create_image(
        name=f"{_PREFIX}-{kind}",
        filename=str(file),
        disk_format="raw",
        container_format=container_format,
        wait=True,
    )
    return str(image.id)


def _boots(
    connection: Connection, kind: str, image: str, *, servers: int, say: Callable[[str], None]
) -> Boots:
    boots = Boots(kind=kind, accepted=[], active=[], gone=[])
    for number in range(servers + 1):
        accepted, active, gone = _boot(connection, f"{_PREFIX}-{kind}-{number}", image)
        say(f"{kind} {number or 'warm-up'}: accepted {accepted:.2f}, ACTIVE {active:.2f}, gone {gone:.2f} s")
        if number:
            boots.accepted.append(accepted)
            boots.active.append(active)
            boots.gone.append(gone)
    return boots


def _boot(connection: Connection, name: str, image: str) -> tuple[float, float, float]:
    flavor = connection.compute.find_flavor(FLAVOR, ignore_missing=False)
    began = time.monotonic()
    server = connection.compute.create_server(name=name, image_id=image, flavor_id=flavor.id, networks="auto")
    accepted = time.monotonic() - began

    def not_active() -> str | None:
        now = connection.compute.get_server(server.id)
        if now.status == "ERROR":
            message = (now.fault or {}).get("message", "")
            raise NovaDockerError(f"{name} went to ERROR.", facts=message)
        return None if now.status == "ACTIVE" else now.status

    try:
        poll.until(not_active, why=f"{name} ACTIVE", seconds=120, pause=_PAUSE, growth=1)
        active = time.monotonic() - began
    finally:
        began = time.monotonic()
        connection.compute.delete_server(server.id)
        poll.until(
            lambda: next((each.status for each in connection.compute.servers(name=f"^{name}$")), None),
            why=f"{name} gone",
            seconds=120,
            pause=_PAUSE,
            growth=1,
        )
    return accepted, active, time.monotonic() - began
