# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""A server can be deleted, also by force, whatever its state and whatever is being done with it.

Nothing of it is left: no container, image, device or port on the host, no port in Neutron, and no claim in
Placement.
"""

import subprocess
from collections.abc import Callable
from typing import Any

import pytest
from tests.e2e.cloud import CONTAINER, until
from tests.e2e.containers import docker, lose_namespaces, namespaces

HOWS = ("delete", "force")


def stopped(cloud, server) -> None:
    cloud.connection.compute.stop_server(server)
    cloud.becomes(server, "SHUTOFF", seconds=90)


def paused(cloud, server) -> None:
    cloud.connection.compute.pause_server(server)
    cloud.becomes(server, "PAUSED")


def suspended(cloud, server) -> None:
    cloud.connection.compute.suspend_server(server)
    cloud.becomes(server, "SUSPENDED")


def rescued(cloud, server) -> None:
    cloud.connection.compute.rescue_server(server)
    cloud.becomes(server, "RESCUE")


def in_error(cloud, server) -> None:
    cloud.connection.compute.reset_server_state(server, "error")


def resized(cloud, server) -> None:
    compute = cloud.connection.compute
    compute.resize_server(server, compute.find_flavor("m1.small", ignore_missing=False))
    cloud.becomes(server, "VERIFY_RESIZE", seconds=120)


def shelved_offloaded(cloud, server) -> None:
    cloud.connection.compute.shelve_server(server)
    cloud.becomes(server, "SHELVED_OFFLOADED", seconds=120)


def without_container(cloud, server) -> None:
    docker(cloud, "rm", "--force", f"nova-{server}")
    cloud.becomes(server, "SHUTOFF", seconds=30)


def without_namespaces(cloud, server) -> None:
    lose_namespaces(cloud, server)


STATES: dict[str, Callable[[Any, str], None]] = {
    "active": lambda cloud, server: None,
    "stopped": stopped,
    "paused": paused,
    "suspended": suspended,
    "rescued": rescued,
    "error": in_error,
    "verify-resize": resized,
    "shelved-offloaded": shelved_offloaded,
    "without-container": without_container,
    "without-namespaces": without_namespaces,
}

# Asked for right before the deletion, which then meets it at work.
TASKS: dict[str, Callable[[Any, str], None]] = {
    "rebooting": lambda compute, server: compute.reboot_server(server, "SOFT"),
    "powering-off": lambda compute, server: compute.stop_server(server),
    "image-snapshot": lambda compute, server: compute.create_server_image(server, f"e2e-gone-{server}"),
    "resizing": lambda compute, server: compute.resize_server(server, compute.find_flavor("m1.small")),
}


class Supply:
    """Running servers, one after the other; the next few are being made meanwhile."""

    AHEAD = 3

    def __init__(self, cloud, image) -> None:
        self._cloud, self._image = cloud, image
        self._coming: list[Any] = []
        self._number = 0

    def next(self) -> tuple[str, list[str]]:
        """The id of a running server, and its ports."""
        while len(self._coming) < self.AHEAD:
            self._number += 1
            self._coming.append(self._cloud.create(f"e2e-delete-{self._number}", self._image))
        server = self._coming.pop(0)
        assert self._cloud.settled(server, seconds=180).status == "ACTIVE"
        return server.id, [port.id for port in self._cloud.connection.network.ports(device_id=server.id)]

    def end(self) -> None:
        for server in self._coming:
            self._cloud.remove(server.id)


@pytest.fixture(scope="module")
def supply(cloud, images):
    made = Supply(cloud, images[CONTAINER])
    yield made
    made.end()


def delete(cloud, server: str, how: str) -> None:
    cloud.connection.compute.delete_server(server, force=how == "force")


def gone(cloud, server: str, ports: list[str]) -> None:
    """See that Nova has forgotten a server, and that nothing is left of it."""
    until(
        lambda: cloud.connection.compute.find_server(server, ignore_missing=True) is None,
        seconds=90,
        why=f"server {server} gone",
    )
    assert list(cloud.connection.network.ports(device_id=server)) == []
    # A resize that was under way gives its claim back when it notices.
    until(
        lambda: not left(cloud, server, ports),
        seconds=60,
        why=f"nothing left: {left(cloud, server, ports)}",
    )


def left(cloud, server: str, ports: list[str]) -> list[str]:
    """What the host and Placement have of a server."""
    found = docker(
        cloud, "ps", "--all", f"--filter=label=nova.docker.uuid={server}", "--format={{.Names}}"
    ).split()
    found += [f"namespaces of {each.name}" for each in namespaces(cloud).glob(f"{server}*")]
    found += [
        tag for tag in docker(cloud, "images", "--format={{.Repository}}:{{.Tag}}").split() if server in tag
    ]
    listed = [
        "ovs-vsctl",
        f"--db=unix:{cloud.run_dir}/ovs/db.sock",
        "--columns=name,external_ids",
        "list",
        "interface",
    ]
    switch = subprocess.run(listed, check=True, capture_output=True, text=True).stdout
    devices = subprocess.run(["ip", "-d", "link", "show"], check=True, capture_output=True, text=True).stdout
    found += [f"port {port}" for port in ports if port in switch]
    found += [f"device of {port}" for port in ports if port in devices or f"tap{port[:8]}" in devices]
    found += [str(path) for path in (cloud.root / "data" / "nova-docker" / "instances").glob(f"*{server}*")]
    claims = cloud.connection.placement.get(f"/allocations/{server}").json()["allocations"]
    return [*found, *(f"claim on {provider}" for provider in claims)]


@pytest.mark.parametrize("how", HOWS)
@pytest.mark.parametrize("state", STATES)
def test_from_every_state(cloud, supply, state, how):
    server, ports = supply.next()
    STATES[state](cloud, server)
    delete(cloud, server, how)
    gone(cloud, server, ports)


@pytest.mark.parametrize(("task", "how"), zip(TASKS, HOWS * 2, strict=True))
def test_during_every_task(cloud, supply, task, how):
    server, ports = supply.next()
    compute = cloud.connection.compute
    TASKS[task](compute, server)
    until(lambda: compute.get_server(server).task_state, seconds=20, why=f"{task} under way")
    delete(cloud, server, how)
    gone(cloud, server, ports)
    for image in cloud.connection.image.images(name=f"e2e-gone-{server}"):
        cloud.connection.image.delete_image(image)


@pytest.mark.parametrize("how", HOWS)
def test_while_it_is_built(cloud, images, how):
    """At three moments: as soon as it is known, when it has a host, and when its containers are made."""
    compute, network = cloud.connection.compute, cloud.connection.network
    moments: dict[str, Callable[[Any], object]] = {
        "known": lambda server: True,
        "networking": lambda server: list(network.ports(device_id=server.id)),
        "containers": lambda server: docker(
            cloud, "ps", "--all", "--quiet", f"--filter=label=nova.docker.uuid={server.id}"
        ),
    }
    for name, come in moments.items():
        server = cloud.create(f"e2e-delete-building-{name}", images[CONTAINER])
        until(lambda server=server, come=come: come(server), seconds=60, why=name)
        ports = [port.id for port in network.ports(device_id=server.id)]
        print(f"{name}: deleted in {compute.get_server(server.id).task_state}")
        delete(cloud, server.id, how)
        gone(cloud, server.id, ports)
