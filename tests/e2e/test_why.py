# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""`nova-docker why` on a real cloud: what was planted is named, and a good boot is told by its phases."""

import contextlib
import json
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from tests.e2e.cloud import CONTAINER, MACHINE, Cloud, until
from tests.e2e.containers import docker
from tests.fakes import docker_archive

SAYS = {"oom": "sleep 8; tail /dev/zero", "exits": "sleep 8; echo no database; exit 3"}


def why(cloud: Cloud, server: str) -> dict:
    done = cloud.control("why", "--json", server, check=False)
    assert done.stdout, done.stderr
    found = json.loads(done.stdout)
    assert done.returncode == (1 if found["wrong"] else 0)
    return found


def refused(cloud: Cloud, server: str) -> str:
    done = cloud.control("why", server, check=False)
    assert done.returncode == 1
    return done.stderr + done.stdout


@contextmanager
def planted(cloud: Cloud) -> Iterator[contextlib.ExitStack]:
    """What is undone at the end, the last first, whatever happens."""
    with contextlib.ExitStack() as undo:
        yield undo


def boot(cloud: Cloud, undo: contextlib.ExitStack, name: str, image, **more) -> str:
    server = cloud.create(f"e2e-why-{name}", image, **more)
    undo.callback(cloud.remove, server.id)
    return server.id


def ends(cloud: Cloud, server: str, *statuses: str) -> None:
    def ended():
        now = cloud.connection.compute.get_server(server)
        return now.status in statuses and not now.task_state

    until(ended, seconds=120, why=f"{server} {statuses}")


def shown(found: dict) -> str:
    return "\n".join([found["sentence"], *found["evidence"], found["fix"]])


@contextmanager
def stopped(cloud: Cloud, *services: str) -> Iterator[None]:
    try:
        for name in services:
            cloud.supervisor.stopProcess(name)
        yield
    finally:
        cloud.control("up")


@contextmanager
def frozen(pid: int) -> Iterator[None]:
    """A service stopped by a signal; each is one process."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


@pytest.fixture
def bad_images(cloud, demo):
    """Images that cannot work, by what is wrong with them."""
    glance = cloud.connection.image
    good, machine = demo.container.read_bytes(), demo.machine.read_bytes()

    def make(name, data, form="docker", **properties):
        made = glance.create_image(f"e2e-why-{name}", data=data, container_format=form,
                                   disk_format=form if form == "aki" else "raw", **properties)  # fmt: skip
        undo.callback(glance.delete_image, made)
        return made

    with contextlib.ExitStack() as undo:
        kernel = make("kernel", b"no kernel" * 1000, form="aki")
        yield {
            "cut": make("cut", good[:700_000]),
            "foreign": make("foreign", docker_archive.busybox(["sleep", "9"], architecture="arm64")),
            "no-command": make("no-command", docker_archive.busybox(["/bin/nothing"])),
            "kernel": make("badkernel", machine, form="bare", kernel_id=kernel.id),
            "processor": make("processor", good, hw_architecture="aarch64"),
            **{name: make(name, good, os_command_line=f"sh -c '{text}'") for name, text in SAYS.items()},
        }


def memory_of(cloud: Cloud, host: str) -> int:
    """All that Placement has of a host for its servers, in MB."""
    placement = cloud.connection.placement
    provider = next(each for each in placement.resource_providers() if each.name == host)
    memory = placement.get_resource_provider_inventory("MEMORY_MB", provider)
    return int((memory.total - memory.reserved) * memory.allocation_ratio)


def test_good_boots_are_told_by_phase(cloud, servers):
    for kind, runs in ((CONTAINER, "process started"), (MACHINE, "VM runs")):
        found = why(cloud, servers[kind].id)
        assert (found["rule"], found["status"]) == ("well", "ACTIVE"), found
        names = [phase["name"] for phase in found["timeline"]]
        assert names[0] == "accepted"
        assert names[-1] == "ACTIVE"
        assert {"scheduled", "claimed", "port made", "plugged", runs} <= set(names), names
        assert 0 < found["timeline"][-1]["at"] < 120


def test_what_a_server_was_given_and_cannot_be(own_cloud, servers, images, bad_images):
    """Ten at once; each with its cause, not Nova's words for it."""
    cloud, compute = own_cloud, own_cloud.connection.compute
    with planted(cloud) as undo:
        flavor, all_of_it = (
            compute.create_flavor(name=f"e2e-why-{name}", ram=ram, vcpus=1, disk=1)
            for name, ram in (("huge", 400_000), ("all", memory_of(cloud, cloud.docker_host)))
        )
        for each in (flavor, all_of_it):
            undo.callback(compute.delete_flavor, each)
        asked = {name: boot(cloud, undo, name, image) for name, image in bad_images.items()}
        asked["full"] = boot(cloud, undo, "full", images[CONTAINER], flavor=all_of_it.name)
        twins = {kind: boot(cloud, undo, "twin", images[kind], flavor=flavor.name)
                 for kind in (CONTAINER, MACHINE)}  # fmt: skip
        for name, server in asked.items():
            ends(cloud, server, *(("SHUTOFF", "ERROR") if name in (*SAYS, "no-command") else ("ERROR",)))
        found = {name: why(cloud, server) for name, server in asked.items()}
        rules = {name: each["rule"] for name, each in found.items()}
        assert rules["no-command"] in ("command-not-found", "process-failed"), found["no-command"]
        assert {name: rules[name] for name in rules if name != "no-command"} == {
            "cut": "image-unacceptable", "foreign": "image-unacceptable", "kernel": "kernel-not-bootable",
            "oom": "out-of-memory", "exits": "process-ended", "processor": "filtered", "full": "host-full",
        }, found  # fmt: skip
        words = {"cut": "cut short", "foreign": "arm64", "kernel": "invalid kernel header",
                 "oom": "--flavor", "exits": "no database", "no-command": "/bin/nothing",
                 "processor": "an architecture", "full": "MB of memory free"}  # fmt: skip
        for name, each in words.items():
            assert each in shown(found[name]), found[name]
        for kind, host in ((CONTAINER, cloud.docker_host), (MACHINE, cloud.host)):
            ends(cloud, twins[kind], "ERROR")
            big = why(cloud, twins[kind])
            assert big["rule"] == "flavor-too-big", big
            assert f"400000 MB of memory, and {host}" in big["sentence"]
        told = refused(cloud, "e2e-why-twin")
        assert all(server in told for server in twins.values())
    # Deleted by now: its record and its logs tell it still.
    gone = why(cloud, asked["kernel"])
    assert (gone["status"], gone["rule"]) == ("DELETED", "kernel-not-bootable"), gone
    assert "There is no server e2e-nobody" in refused(cloud, "e2e-nobody")


@pytest.mark.parametrize("how", ["stopped", "frozen"])
def test_a_chassis_that_is_away(own_cloud, images, how):
    cloud = own_cloud
    with planted(cloud) as undo:
        undo.callback(cloud.control, "up")
        pid = cloud.supervisor.getProcessInfo("ovn-controller")["pid"]
        if how == "stopped":
            cloud.supervisor.stopProcess("ovn-controller")
        else:
            undo.enter_context(frozen(pid))
        asked = [boot(cloud, undo, how, images[kind]) for kind in (CONTAINER, MACHINE)]
        for server in asked:
            ends(cloud, server, "ERROR")
            found = why(cloud, server)
            assert found["rule"] == {"stopped": "network-part-down", "frozen": "network-part-frozen"}[how], (
                found
            )
            assert "ovn-controller" in found["sentence"]
            assert found["fix"].startswith("nova-docker up" if how == "stopped" else f"kill -CONT {pid}")


def test_a_hypervisors_daemon_that_is_away(own_cloud, images):
    cloud = own_cloud
    with planted(cloud) as undo:
        with stopped(cloud, "dockerd", "libvirtd"):
            asked = {"dockerd": boot(cloud, undo, "dockerd", images[CONTAINER]),
                     "libvirtd": boot(cloud, undo, "libvirtd", images[MACHINE])}  # fmt: skip
            for server in asked.values():
                ends(cloud, server, "ERROR")
        for daemon, server in asked.items():  # it runs again, and is the cause still
            found = why(cloud, server)
            assert found["rule"] in ("service-down", "hypervisor-daemon-down"), found
            assert found["sentence"].startswith(f"{daemon} was stopped"), found


def test_whom_a_stuck_server_waits_for(own_cloud, images):
    cloud = own_cloud
    with planted(cloud) as undo:
        server = boot(cloud, undo, "deleted", images[CONTAINER])
        assert cloud.settled(cloud.connection.compute.get_server(server)).status == "ACTIVE"
        docker(cloud, "rm", "--force", f"nova-{server}")
        ends(cloud, server, "SHUTOFF")
        assert why(cloud, server)["rule"] == "container-removed"
        with stopped(cloud, "nova-docker", "nova-conductor"):
            cloud.connection.compute.delete_server(server)
            built = boot(cloud, undo, "built", images[CONTAINER])
            for one, name in ((server, "nova-docker"), (built, "nova-conductor")):
                found = why(cloud, one)
                assert found["rule"] == "waits-for-service", found
                assert name in found["sentence"], found


def test_what_was_lost_with_a_killed_service(own_cloud, servers, images):
    """A build in nova-conductor's hands, one in nova-compute's, a task; and a host that reports no more."""
    cloud, compute = own_cloud, own_cloud.connection.compute

    def pid(name: str) -> int:
        return cloud.supervisor.getProcessInfo(name)["pid"]

    with planted(cloud) as undo, stopped(cloud, "nova-libvirt"):
        rescued = boot(cloud, undo, "rescued", images[CONTAINER])
        assert cloud.settled(compute.get_server(rescued)).status == "ACTIVE"
        interrupted = boot(cloud, undo, "interrupted", images[CONTAINER])
        until(lambda: compute.get_server(interrupted).task_state == "spawning", seconds=60, why="spawning")
        with frozen(pid("dockerd")), frozen(pid("placement")):
            compute.rescue_server(rescued)
            lost = boot(cloud, undo, "lost", images[CONTAINER])
            time.sleep(2)  # no event tells that the requests are in their hands
            for name in ("nova-docker", "nova-conductor"):
                os.kill(pid(name), signal.SIGKILL)
        causes = {}
        for name, server in (("interrupted", interrupted), ("lost", lost)):
            ends(cloud, server, "ERROR")
            causes[name] = why(cloud, server)
        assert causes["interrupted"]["rule"] == "build-interrupted", causes["interrupted"]
        assert causes["interrupted"]["sentence"].startswith("nova-docker ended"), causes["interrupted"]
        assert causes["lost"]["rule"] == "build-lost", causes["lost"]
        assert causes["lost"]["sentence"].startswith("nova-conductor ended"), causes["lost"]
        found = why(cloud, rescued)
        assert found["rule"] == "message-lost", found
        assert "rescuing" in shown(found)

        def down() -> bool:
            (service,) = compute.services(host=cloud.host, binary="nova-compute")
            return service.state == "down"

        until(down, seconds=90, why="nova-libvirt is taken for down")
        nowhere = boot(cloud, undo, "nowhere", images[MACHINE])
        ends(cloud, nowhere, "ERROR")
        found = why(cloud, nowhere)
        assert found["rule"] == "host-down", found


def test_a_cloud_that_is_down(own_cloud, servers):
    cloud = own_cloud
    with stopped(cloud, "keystone"):
        assert "do not answer" in refused(cloud, servers[CONTAINER].name)
        found = why(cloud, servers[CONTAINER].id)
        assert (found["rule"], found["status"]) == ("unknown", "UNKNOWN")
        assert any("nova-docker" in each for each in found["looked"])
