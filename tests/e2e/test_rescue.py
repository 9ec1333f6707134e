# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""A container in rescue: another one in its place, on its network, with its disk at /mnt."""

import pytest
from openstack import exceptions
from tests.e2e.cloud import CONTAINER, MACHINE, until
from tests.e2e.containers import NOTHING, answers, docker, file, inside, remains


@pytest.fixture(scope="module")
def server(cloud, images):
    """A container of its own, with something on its disk."""
    asked = cloud.create("e2e-rescue", images[CONTAINER])
    settled = cloud.settled(asked)
    running = None
    try:
        assert settled.status == "ACTIVE", settled.fault
        running = cloud.reachable(settled, CONTAINER)
        running.page()
        inside(cloud, running.id, "echo broken > /www/made")
        yield running
    finally:
        if cloud.connection.compute.find_server(asked.id, ignore_missing=True):
            cloud.remove(asked.id)


def test_a_rescued_server_s_disk_can_be_mended(cloud, server):
    compute = cloud.connection.compute
    compute.rescue_server(server.id)
    cloud.becomes(server.id, "RESCUE", seconds=90)
    answers(cloud, server)
    assert "serving its page on port 80" in cloud.console(server.id)
    # The page is the rescue image's; the server's own disk is at /mnt, to be written to.
    assert inside(cloud, server.id, "test ! -e /www/made && cat /mnt/www/made") == "broken"
    inside(cloud, server.id, "echo mended > /mnt/www/made; echo x > /lost")
    with pytest.raises(exceptions.ConflictException):
        compute.reboot_server(server.id, "HARD")
    cloud.restart("nova-docker")
    assert compute.get_server(server.id).status == "RESCUE"
    answers(cloud, server)
    compute.unrescue_server(server.id)
    cloud.becomes(server.id, "ACTIVE")
    answers(cloud, server)
    assert file(server, "made") == "mended"
    assert inside(cloud, server.id, "test ! -e /lost; ls -d /mnt 2>/dev/null || echo none") in {
        "none",
        "/mnt",
    }
    assert remains(cloud, server.id) == NOTHING
    assert docker(cloud, "volume", "ls", "--quiet") == ""


def test_a_machine_s_image_rescues_no_container(cloud, server, images):
    compute = cloud.connection.compute
    compute.rescue_server(server.id, image=images[MACHINE].id)
    failed = until(
        lambda: (now := compute.get_server(server.id)).status == "ERROR" and not now.task_state and now,
        seconds=90,
        why="the rescue refused",
    )
    assert "container image" in failed.fault["message"] + failed.fault.get("details", "")
    assert remains(cloud, server.id) == NOTHING
    compute.reboot_server(server.id, "HARD")
    cloud.becomes(server.id, "ACTIVE", seconds=90)
    answers(cloud, server)
    assert file(server, "made") == "mended"


def test_a_server_in_rescue_is_deleted_whole(cloud, server):
    cloud.connection.compute.rescue_server(server.id)
    cloud.becomes(server.id, "RESCUE", seconds=90)
    cloud.remove(server.id)
    assert docker(cloud, "ps", "--all", "--quiet", f"--filter=label=nova.docker.uuid={server.id}") == ""
    assert docker(cloud, "volume", "ls", "--quiet") == ""
