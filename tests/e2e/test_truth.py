# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""What Nova says of a server is so: whatever its process, others on the host, or a restart did to it."""

import os
import signal
import subprocess
import threading
import time
import uuid as uuids
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from tests.e2e.cloud import CONTAINER, get, until
from tests.e2e.containers import answers, docker, inside, lose_namespaces, namespaces

from novadocker.virt.docker import pause

# Servers of other kinds than the active one, and what Nova calls them.
STATUSES = {
    "stopped": "SHUTOFF",
    "paused": "PAUSED",
    "suspended": "SUSPENDED",
    "rescued": "RESCUE",
    "lost": "ACTIVE",
}
MARKS = ("nova.docker.uuid", "nova.docker.host", "nova.docker.role")


def first_process(cloud, server_id: str) -> int:
    return int(docker(cloud, "inspect", "--format={{.State.Pid}}", f"nova-{server_id}"))


def status(cloud, server_id: str) -> str:
    return cloud.connection.compute.get_server(server_id).status


def start(cloud, server_id: str) -> None:
    cloud.connection.compute.start_server(server_id)
    cloud.becomes(server_id, "ACTIVE")


@pytest.fixture(scope="module")
def server(servers):
    servers[CONTAINER].page()
    return servers[CONTAINER]


@pytest.fixture(scope="module")
def others(cloud, images) -> Iterator[dict[str, str]]:
    """Servers in states of their own, by these: their ids."""
    compute = cloud.connection.compute
    asked = {name: cloud.create(f"e2e-{name}", images[CONTAINER]) for name in STATUSES}
    for one in asked.values():
        assert cloud.settled(one, seconds=180).status == "ACTIVE"
    compute.stop_server(asked["stopped"].id)
    compute.pause_server(asked["paused"].id)
    compute.suspend_server(asked["suspended"].id)
    compute.rescue_server(asked["rescued"].id)
    for name, wanted in STATUSES.items():
        cloud.becomes(asked[name].id, wanted)
    yield {name: one.id for name, one in asked.items()}
    if cloud.root.exists():
        for one in asked.values():
            cloud.remove(one.id)


@contextmanager
def ending_image(cloud, demo, name: str, command: str) -> Iterator[object]:
    """An image whose servers run this instead of their page."""
    image = cloud.connection.image.create_image(
        name, data=demo.container.read_bytes(), container_format="docker", disk_format="raw",
        os_command_line=command,
    )  # fmt: skip
    try:
        yield image
    finally:
        cloud.connection.image.delete_image(image)


class Visitor:
    """Asks for a server's page again and again, and remembers how often in vain."""

    def __init__(self, address: str) -> None:
        self.answers, self.failures = 0, 0
        self._url = f"http://{address}/"
        self._enough = threading.Event()
        self._thread = threading.Thread(target=self._visit, daemon=True)

    def _visit(self) -> None:
        while not self._enough.wait(0.1):
            if get(self._url, seconds=5):
                self.answers += 1
            else:
                self.failures += 1

    def __enter__(self) -> "Visitor":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._enough.set()
        self._thread.join(10)


def test_an_end_is_known_within_two_seconds(own_cloud, server):
    """Its first process ends; of three times the best counts, since the machine may have much else to do."""
    cloud, took = own_cloud, []
    for _ in range(3):
        began = time.monotonic()
        os.kill(first_process(cloud, server.id), signal.SIGKILL)
        until(lambda: status(cloud, server.id) == "SHUTOFF", seconds=30, why="SHUTOFF")
        took.append(time.monotonic() - began)
        assert "[nova-docker] the process was ended by signal 9 (exit code 137)" in cloud.console(server.id)
        cloud.becomes(server.id, "SHUTOFF")
        start(cloud, server.id)
        if min(took) < 2:
            break
    print(f"from the end to SHUTOFF: {took}")
    assert min(took) < 2
    answers(cloud, server)


def test_an_end_during_a_task_is_not_forgotten(own_cloud, server):
    """While its image is on its way to Glance, when Nova ignores what it is told of a server."""
    cloud, compute = own_cloud, own_cloud.connection.compute
    image = compute.create_server_image(server.id, "e2e-meanwhile")
    until(lambda: compute.get_server(server.id).task_state, seconds=20, why="the snapshot began")
    os.kill(first_process(cloud, server.id), signal.SIGKILL)
    cloud.becomes(server.id, "SHUTOFF", seconds=60)
    cloud.connection.image.wait_for_status(cloud.connection.image.get_image(image), "active", wait=60)
    cloud.connection.image.delete_image(image)
    start(cloud, server.id)
    answers(cloud, server)


def test_want_of_memory_is_told(cloud, demo, server):
    """A process of several, while the server goes on; and its only one, as it is being built still."""
    inside(cloud, server.id, "tail /dev/zero || true")
    until(
        lambda: "one of its processes was killed at" in cloud.console(server.id),
        seconds=10,
        why="the console tells it",
    )
    assert status(cloud, server.id) == "ACTIVE"
    with (
        ending_image(cloud, demo, "e2e-hungry", "sh -c 'sleep 0.3; exec tail /dev/zero'") as image,
        cloud.server("e2e-hungry", image) as hungry,
    ):
        cloud.becomes(hungry.id, "SHUTOFF", seconds=90)
        assert "was killed: it used more memory than its flavor has (exit code 137)" in cloud.console(
            hungry.id
        )


def test_power_sync_leaves_servers_as_they_are(own_cloud, server, others):
    """Nova compares its records with Docker every other second, and nova-compute restarts twice."""
    cloud = own_cloud
    before = {name: docker(cloud, "inspect", "--format={{.State.Status}} {{.State.Pid}}", f"nova-{each}")
              for name, each in {**others, "active": server.id}.items()}  # fmt: skip
    often = {"DEFAULT": {"sync_power_state_interval": 2, "periodic_fuzzy_delay": 0}}
    with Visitor(server.address) as visitor:
        with cloud.configured("nova-docker/nova-docker.conf", often, restart=["nova-docker"]):
            time.sleep(10)  # for nothing to happen
        after = {name: docker(cloud, "inspect", "--format={{.State.Status}} {{.State.Pid}}", f"nova-{each}")
                 for name, each in {**others, "active": server.id}.items()}  # fmt: skip
    assert after == before
    assert {name: status(cloud, each) for name, each in others.items()} == STATUSES
    assert status(cloud, server.id) == "ACTIVE"
    assert visitor.answers > 20
    assert visitor.failures == 0, "its page was there all along"


def test_servers_outlive_the_restart_of_what_holds_them(own_cloud, server):
    """dockerd and the chassis' controller, while its page is asked for; events are followed anew."""
    cloud = own_cloud
    pid = first_process(cloud, server.id)
    with Visitor(server.address) as visitor:
        for name in ("dockerd", "ovn-controller"):
            cloud.supervisor.stopProcess(name)
            cloud.supervisor.startProcess(name)
            until(lambda: cloud.status()["healthy"], seconds=90, why=f"all is well after {name}")
    assert visitor.answers
    assert visitor.failures == 0
    assert first_process(cloud, server.id) == pid
    cloud.supervisor.stopProcess("vswitchd")
    cloud.supervisor.startProcess("vswitchd")
    answers(cloud, server)
    os.kill(pid, signal.SIGKILL)
    cloud.becomes(server.id, "SHUTOFF", seconds=30)
    start(cloud, server.id)
    answers(cloud, server)


def test_a_container_removed_behind_nova_s_back_is_told_and_a_hard_reboot_makes_it_again(own_cloud, others):
    cloud, compute, lost = own_cloud, own_cloud.connection.compute, others["lost"]
    running = cloud.reachable(compute.get_server(lost), CONTAINER)
    answers(cloud, running)
    docker(cloud, "rm", "--force", f"nova-{lost}")
    cloud.becomes(lost, "SHUTOFF", seconds=20)
    assert "container is gone; a hard reboot makes it again" in cloud.console(lost)
    compute.start_server(lost)
    until(lambda: not compute.get_server(lost).task_state, seconds=20, why="the start ended")
    assert status(cloud, lost) == "SHUTOFF"
    compute.reboot_server(lost, "HARD")
    cloud.becomes(lost, "ACTIVE")
    answers(cloud, running)


def test_the_host_comes_back(own_cloud, server, others):
    """All containers end, with their networks, and one is gone; nova-compute then finds what Nova recorded.

    It finds what a nova-compute left that was killed in the middle, too, and what is no business of its.
    """
    cloud = own_cloud
    until(lambda: status(cloud, others["lost"]) == "ACTIVE", seconds=30, why="the other one runs")
    cloud.supervisor.stopProcess("nova-docker")
    for name in ("paused", "suspended"):  # a frozen process cannot die
        docker(cloud, "unpause", f"nova-{others[name]}")
    docker(cloud, "kill", *docker(cloud, "ps", "--quiet", "--filter=label=nova.docker.uuid").split())
    docker(cloud, "rm", "--force", f"nova-{others['lost']}")
    for each in namespaces(cloud).glob("*-*"):
        lose_namespaces(cloud, each.name)
    with planted(cloud) as (orphans, foreign):
        assert orphans | foreign <= seen(cloud)
        cloud.supervisor.startProcess("nova-docker")
        answers(cloud, server)
        assert status(cloud, server.id) == "ACTIVE"
        for name in ("stopped", "paused", "lost"):  # paused memory went with the host
            until(
                lambda name=name: status(cloud, others[name]) == "SHUTOFF", seconds=30, why=f"{name} is off"
            )
            assert not first_running(cloud, others[name])
        assert status(cloud, others["suspended"]) == "SUSPENDED"
        assert status(cloud, others["rescued"]) == "RESCUE"
        until(lambda: first_running(cloud, others["rescued"]), seconds=30, why="the rescue goes on")
        assert not orphans & seen(cloud)
        assert foreign <= seen(cloud)
    cloud.connection.compute.reboot_server(others["lost"], "HARD")
    cloud.becomes(others["lost"], "ACTIVE")
    for name in ("stopped", "paused"):
        start(cloud, others[name])
    cloud.connection.compute.resume_server(others["suspended"])
    cloud.connection.compute.unrescue_server(others["rescued"])
    for name in ("suspended", "rescued"):
        cloud.becomes(others[name], "ACTIVE")


def first_running(cloud, server_id: str) -> str:
    return docker(cloud, "ps", "--quiet", f"--filter=label={MARKS[0]}={server_id}",
                  f"--filter=label={MARKS[2]}=workload")  # fmt: skip


@contextmanager
def planted(cloud) -> Iterator[tuple[set[str], set[str]]]:
    """A sandbox, a port and a pair of devices that look like ours, and others' beside each."""
    ours, theirs = (str(uuids.uuid4()) for _ in range(2))
    # As a driver makes them where dockerd is without our runtime.
    sandbox, archive = pause.archive(docker(cloud, "version", "--format={{.Server.Arch}}"))
    load = ["docker", "-H", f"unix://{cloud.run_dir}/docker/docker.sock", "load"]
    subprocess.run(load, input=archive, check=True, capture_output=True)
    (namespaces(cloud) / ours).mkdir()
    for name, host in ((ours, cloud.docker_host), (theirs, "another-host")):
        labels = [
            f"--label={mark}={value}" for mark, value in zip(MARKS, (name, host, "sandbox"), strict=True)
        ]
        docker(cloud, "run", "--detach", "--network=none", f"--name=e2e-{name[:8]}", *labels, sandbox)
        device = f"tap{name[:8]}"
        alias = f"nova-docker:{host}:{name}"
        ip("link", "add", device, "type", "veth", "peer", "name", f"ndp{name[:8]}")
        ip("link", "set", device, "alias", alias)
        half = f"tbp{name[:8]}"
        ip("link", "add", half, "type", "veth", "peer", "name", f"nbp{name[:8]}")
        ip("link", "set", half, "alias", alias)
        vsctl(
            cloud, "add-port", "ndk-int", device, "--", "set", "interface", device,
            f"external_ids:iface-id={name}", f"external_ids:vm-uuid={name}",
            f"external_ids:nova-docker-host={host}",
        )  # fmt: skip
    kinds = ("container e2e-", "device tap", "device tbp", "port tap")
    sets = [{f"{kind}{name[:8]}" for kind in kinds} for name in (ours, theirs)]
    sets[0].add(f"namespaces {ours}")
    try:
        yield sets[0], sets[1]
    finally:
        for name in (ours, theirs):
            docker(cloud, "rm", "--force", f"e2e-{name[:8]}", check=False)
            docker(cloud, "rmi", sandbox, check=False)
            vsctl(cloud, "--if-exists", "del-port", f"tap{name[:8]}")
            for device in (f"tap{name[:8]}", f"tbp{name[:8]}"):
                ip("link", "delete", device, check=False)


def seen(cloud) -> set[str]:
    """The machine's containers, devices and ports."""
    containers = docker(cloud, "ps", "--all", "--format={{.Names}}").split()
    devices = [line.split(": ")[1].split("@")[0] for line in ip("-o", "link", "show").splitlines()]
    ports = vsctl(cloud, "list-ports", "ndk-int").split()
    return {
        *(f"container {each}" for each in containers),
        *(f"device {each}" for each in devices),
        *(f"namespaces {each.name}" for each in namespaces(cloud).iterdir()),
        *(f"port {each}" for each in ports),
    }


def ip(*words: str, check: bool = True) -> str:
    return subprocess.run(["ip", *words], check=check, capture_output=True, text=True).stdout


def vsctl(cloud, *words: str) -> str:
    command = ["ovs-vsctl", f"--db=unix:{cloud.run_dir}/ovs/db.sock", *words]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=30).stdout
