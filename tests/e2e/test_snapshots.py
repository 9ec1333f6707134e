# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""A container's disk becomes an image, in every state a server can be in, and however that is cut short."""

import time

import pytest
from tests.e2e.cloud import CONTAINER, until
from tests.e2e.containers import NOTHING, answers, docker, file, inside, marked, remains


@pytest.fixture(scope="module")
def server(cloud, images):
    """A container of its own, with something on its disk."""
    with marked(
        cloud,
        images[CONTAINER],
        name="e2e-snapshots",
        script="echo written by the server > /www/made && busybox chown 7:8 /www/made",
    ) as running:
        yield running


def _snapshot(cloud, server, name: str):
    image = cloud.openstack("server", "image", "create", "--wait", "--name", name, server.id)
    found = cloud.connection.image.get_image(image["id"])
    assert (found.status, found.container_format, found.disk_format) == ("active", "docker", "raw")
    assert found.properties["image_type"] == "snapshot"
    assert found.properties["base_image_ref"] == cloud.connection.compute.get_server(server.id).image["id"]
    assert found.size > 1 << 20
    assert remains(cloud, server.id) == NOTHING
    return found


def test_a_snapshot_boots_with_what_its_server_wrote(cloud, server):
    image = _snapshot(cloud, server, "e2e-snapshot")
    try:
        answers(cloud, server)
        with cloud.server("e2e-from-snapshot", image) as second:
            settled = cloud.settled(second)
            assert settled.status == "ACTIVE", settled.fault
            running = cloud.reachable(settled, CONTAINER)
            answers(cloud, running)
            assert file(running, "made") == "written by the server"
            ids = "from os import stat"  # the owner's numbers are the container's own, not the host's
            ids = inside(cloud, running.id, "ls -n /www/made; env; hostname; id", user="1000:1000")
            assert " 7        8 " in ids or "7 8" in " ".join(ids.split())
            assert server.id not in ids
            assert "e2e-snapshots" not in ids
            settings = (
                "{{json .Config.User}} {{json .Config.Cmd}} {{json .Config.Env}} {{json .Config.Labels}}"
            )
            source = docker(cloud, "inspect", "--format={{.Image}}", f"nova-{server.id}")
            made = docker(cloud, "inspect", "--format={{.Image}}", f"nova-{running.id}")
            told = [docker(cloud, "image", "inspect", f"--format={settings}", one) for one in (source, made)]
            assert told[0] == told[1]
    finally:
        cloud.connection.image.delete_image(image.id)


def _settings(cloud, server_id: str) -> str:
    """All that a server's image says of its process."""
    image = docker(cloud, "inspect", "--format={{.Image}}", f"nova-{server_id}")
    return docker(cloud, "image", "inspect", "--format={{json .Config}}", image)


def test_a_stopped_and_a_frozen_server_stay_so(cloud, server):
    compute = cloud.connection.compute
    for ask, state, back in (
        (compute.stop_server, "SHUTOFF", compute.start_server),
        (compute.pause_server, "PAUSED", compute.unpause_server),
    ):
        ask(server.id)
        cloud.becomes(server.id, state)
        cloud.connection.image.delete_image(_snapshot(cloud, server, f"e2e-{state}").id)
        cloud.becomes(server.id, state)
        back(server.id)
        cloud.becomes(server.id, "ACTIVE")
        answers(cloud, server)


def test_backups_rotate(cloud, server):
    images = cloud.connection.image
    for number in (1, 2, 3):
        cloud.connection.compute.backup_server(server.id, f"e2e-backup-{number}", "daily", 2)
        until(
            lambda name=f"e2e-backup-{number}": images.find_image(name).status == "active",
            seconds=60,
            why=f"backup {number}",
        )
        cloud.becomes(server.id, "ACTIVE")
    kept = until(
        lambda: (
            (found := sorted(one.name for one in images.images() if one.name.startswith("e2e-backup")))
            and len(found) == 2
            and found
        ),
        seconds=30,
        why="two backups",
    )
    assert kept == ["e2e-backup-2", "e2e-backup-3"]
    for name in kept:
        images.delete_image(images.find_image(name))
    assert remains(cloud, server.id) == NOTHING


def test_an_image_deleted_during_its_upload_leaves_the_server_as_it_was(cloud, server):
    _fill(cloud, server.id)
    image_id = cloud.connection.compute.create_server_image(server.id, "e2e-unwanted").id
    _task(cloud, server.id, "image_uploading")
    cloud.connection.image.delete_image(image_id)
    cloud.becomes(server.id, "ACTIVE", seconds=120)
    assert cloud.connection.image.find_image("e2e-unwanted") is None
    answers(cloud, server)
    assert remains(cloud, server.id) == NOTHING


def test_a_snapshot_that_fails_leaves_no_image(cloud, server):
    compute = cloud.connection.compute
    compute.stop_server(server.id)
    cloud.becomes(server.id, "SHUTOFF")
    docker(cloud, "rm", f"nova-{server.id}")  # behind Nova's back
    image_id = compute.create_server_image(server.id, "e2e-failed").id
    until(lambda: cloud.connection.image.find_image(image_id) is None, seconds=60, why="the empty image gone")
    cloud.settled(server)
    assert remains(cloud, server.id) == NOTHING
    compute.reboot_server(server.id, "HARD")
    cloud.becomes(server.id, "ACTIVE", seconds=90)
    answers(cloud, server)


def test_a_server_deleted_during_its_snapshot(cloud, images):
    server = cloud.settled(cloud.create("e2e-short", images[CONTAINER]))
    assert server.status == "ACTIVE", server.fault
    _fill(cloud, server.id)
    image_id = cloud.connection.compute.create_server_image(server.id, "e2e-short").id
    _task(cloud, server.id, "image_")
    cloud.remove(server.id)
    found = until(
        lambda: (
            (image := cloud.connection.image.find_image(image_id)) is None
            or (image.status == "active" and image)
        ),
        seconds=120,
        why="the image whole or gone",
    )
    if found is not True:
        cloud.connection.image.delete_image(image_id)
    until(lambda: remains(cloud, server.id) == NOTHING, seconds=60, why="the copy gone")


def _fill(cloud, server_id: str) -> None:
    """Write as much as takes a moment to read."""
    inside(cloud, server_id, "busybox dd if=/dev/urandom of=/large bs=1M count=200 2>/dev/null")


def _task(cloud, server_id: str, wanted: str) -> None:
    deadline = time.monotonic() + 60
    while not (cloud.connection.compute.get_server(server_id).task_state or "").startswith(wanted):
        assert time.monotonic() < deadline, f"no task {wanted}"
