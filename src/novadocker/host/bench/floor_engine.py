# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""The floor of containers: what Docker itself takes to create and start one, without a cloud around it."""

import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import docker

from novadocker.host.bench import phases

LABEL = "nova.docker.bench"
# Of what the driver asks for, these are made by it beforehand, or have no meaning without its network.
_LEFT_OUT = ("NetworkMode", "Binds", "Mounts")


def alike(inspected: Mapping[str, Any], *, image: str) -> dict[str, Any]:
    """What to ask for to get a container as the driver makes them, alone and without a network; pure.

    :param inspected: what the daemon says of one that the driver made.
    """
    host = {name: value for name, value in inspected["HostConfig"].items() if name not in _LEFT_OUT}
    return {
        "Image": image,
        "Labels": {LABEL: "yes"},
        "HostConfig": {**host, "NetworkMode": "none"},
    }


class Engine:
    """Our dockerd, asked without Nova."""

    def __init__(self, socket: Path) -> None:
        self._url = f"unix://{socket}"
        self._client = docker.APIClient(base_url=self._url, version="auto", timeout=120)

    def pid(self, server: str) -> int:
        """A process in a server's network namespace."""
        return int(self._client.inspect_container(f"nova-{server}")["State"]["Pid"])

    def like(self, server: str) -> dict[str, Any]:
        """What to ask for to get a server's container without its network."""
        found = self._client.inspect_container(f"nova-{server}")
        return alike(found, image=found["Image"])

    def one_at_a_time(self, wanted: dict[str, Any], *, count: int) -> dict[str, Any]:
        """Create, start and remove one container after the other."""
        took = []
        for _ in range(count):
            name, seconds = self._start(self._client, wanted)
            took.append(seconds)
            self._client.remove_container(name, force=True)
        return {"count": count, "started": phases.spread(took)}

    def at_once(self, wanted: dict[str, Any], *, count: int) -> dict[str, Any]:
        """Create and start containers at once, then remove them."""
        gate = threading.Barrier(count)
        clients = [docker.APIClient(base_url=self._url, version="auto", timeout=120) for _ in range(count)]

        def start(client: Any) -> tuple[str, float, float]:
            gate.wait(30)
            began = time.monotonic()
            name, seconds = self._start(client, wanted)
            return name, seconds, began

        with ThreadPoolExecutor(max_workers=count) as pool:
            done = list(pool.map(start, clients))
            list(pool.map(lambda each: self._client.remove_container(each[0], force=True), done))
        for client in clients:
            client.close()
        began = min(each[2] for each in done)
        return {
            "count": count,
            "started": phases.spread([each[1] for each in done]),
            "last": {"started": round(max(each[2] + each[1] for each in done) - began, 3)},
        }

    def count(self) -> int:
        """How many containers there are, whoever made them, the stopped ones among them."""
        return len(self._client.containers(all=True))

    def clear(self) -> None:
        """Remove what an interrupted run has left."""
        for each in self._client.containers(all=True, filters={"label": LABEL}):
            self._client.remove_container(each["Id"], force=True)

    def close(self) -> None:
        """End the connection."""
        self._client.close()

    @staticmethod
    def _start(client: Any, wanted: dict[str, Any]) -> tuple[str, float]:
        began = time.monotonic()
        name = client.create_container_from_config(wanted)["Id"]
        client.start(name)
        return name, time.monotonic() - began


def measure(
    engine: Engine, server: str, *, servers: int, at_once: int, say: Callable[[str], None]
) -> dict[str, Any]:
    """Both floors, of containers like that of `server`."""
    wanted = engine.like(server)
    engine.one_at_a_time(wanted, count=1)
    one = engine.one_at_a_time(wanted, count=servers)
    many = engine.at_once(wanted, count=at_once)
    last = many["last"]["started"]
    say(f"docker create and start: {one['started']['median']:.2f} s, {at_once} at once {last:.2f} s")
    return {"one": one, "at_once": many}
