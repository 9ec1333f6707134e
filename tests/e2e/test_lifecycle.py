# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""A container through what Nova can do with a server's life; after each step its port is as it was."""

import time

import pytest
from tests.e2e.cloud import CONTAINER, MACHINE, get, until
from tests.e2e.containers import NOTHING, answers, docker, file, inside, marked, remains

_AS_ROOT = ("exec", "--privileged", "--user", "0:0")


@pytest.fixture(scope="module")
def server(cloud, images):
    """A container of its own, with something on its disk."""
    with marked(cloud, images[CONTAINER], name="e2e-life", script="echo first > /www/made") as running:
        yield running


def test_suspend_keeps_what_is_in_memory(cloud, server):
    compute = cloud.connection.compute
    docker(cloud, "exec", "--detach", f"nova-{server.id}", "sh", "-c", "exec sleep 4242")
    compute.suspend_server(server.id)
    suspended = cloud.becomes(server.id, "SUSPENDED")
    assert suspended.power_state == 7
    assert not get(f"http://{server.address}/", seconds=2)
    compute.resume_server(server.id)
    assert cloud.becomes(server.id, "ACTIVE").power_state == 1
    answers(cloud, server)
    assert "sleep 4242" in docker(cloud, "top", f"nova-{server.id}")


def test_a_suspended_server_that_its_host_lost_starts(cloud, server):
    compute = cloud.connection.compute
    compute.suspend_server(server.id)
    cloud.becomes(server.id, "SUSPENDED")
    docker(cloud, "kill", f"nova-{server.id}")
    assert compute.get_server(server.id).status == "SUSPENDED"
    compute.resume_server(server.id)
    cloud.becomes(server.id, "ACTIVE")
    answers(cloud, server)


@pytest.mark.parametrize("before", ["ACTIVE", "SHUTOFF"])
def test_shelved_and_back(cloud, server, before):
    compute = cloud.connection.compute
    if before == "SHUTOFF":
        compute.stop_server(server.id)
        cloud.becomes(server.id, before)
    compute.shelve_server(server.id)
    cloud.becomes(server.id, "SHELVED_OFFLOADED", seconds=120)
    assert docker(cloud, "ps", "--all", "--quiet", f"--filter=label=nova.docker.uuid={server.id}") == ""
    assert remains(cloud, server.id) == NOTHING
    compute.unshelve_server(server.id)
    cloud.becomes(server.id, "ACTIVE", seconds=120)
    answers(cloud, server)
    assert file(server, "made") == "first"
    assert not list(cloud.connection.image.images(name="e2e-life-shelved"))


def test_rebuilt_from_another_image_and_back(cloud, server, images):
    compute = cloud.connection.compute
    image = cloud.openstack("server", "image", "create", "--wait", "--name", "e2e-rebuild", server.id)
    try:
        inside(cloud, server.id, "echo second > /www/made")
        for chosen, made in ((image["id"], "first"), (images[CONTAINER].id, "")):
            compute.rebuild_server(server.id, chosen)
            until(
                lambda wanted=chosen: compute.get_server(server.id).image["id"] == wanted,
                seconds=20,
                why="the rebuild began",
            )
            assert cloud.becomes(server.id, "ACTIVE", seconds=120).image["id"] == chosen
            answers(cloud, server)
            assert get(f"http://{server.address}/made").strip() == made
    finally:
        cloud.connection.image.delete_image(image["id"])
    # Once more from the image it has.
    inside(cloud, server.id, "echo third > /www/made")
    container = docker(cloud, "inspect", "--format={{.Id}}", f"nova-{server.id}")
    compute.rebuild_server(server.id, images[CONTAINER].id)
    until(
        lambda: docker(cloud, "inspect", "--format={{.Id}}", f"nova-{server.id}", check=False) != container,
        seconds=60,
        why="the container made anew",
    )
    cloud.becomes(server.id, "ACTIVE", seconds=120)
    answers(cloud, server)
    assert get(f"http://{server.address}/made") == ""


def test_a_rebuild_from_a_machine_s_image_is_refused_and_changes_nothing(cloud, server, images):
    compute = cloud.connection.compute
    inside(cloud, server.id, "echo fourth > /www/made")
    compute.rebuild_server(server.id, images[MACHINE].id)
    failed = until(
        lambda: (now := compute.get_server(server.id)).status == "ERROR" and now,
        seconds=60,
        why="the rebuild refused",
    )
    assert "No valid host" in failed.fault["message"]
    assert failed.image["id"] == images[CONTAINER].id
    assert file(server, "made") == "fourth", "it runs on"
    compute.reboot_server(server.id, "HARD")
    cloud.becomes(server.id, "ACTIVE", seconds=90)
    answers(cloud, server)
    assert file(server, "made") == "fourth"
    # Nova knows its image again: what is made of it now is a container's.
    compute.shelve_server(server.id)
    cloud.becomes(server.id, "SHELVED_OFFLOADED", seconds=120)
    compute.unshelve_server(server.id)
    cloud.becomes(server.id, "ACTIVE", seconds=120)
    answers(cloud, server)
    assert file(server, "made") == "fourth"


def test_a_reboot_from_inside_comes_back_and_a_halt_does_not(cloud, server, images):
    admin, started = cloud.connection.compute, ("inspect", "--format={{.State.StartedAt}}")
    flavor = admin.create_flavor(name="e2e-reboots", ram=64, vcpus=1, disk=1)
    try:
        admin.create_flavor_extra_specs(flavor, {"docker:capabilities": "SYS_BOOT"})
        with cloud.server("e2e-reboots", images[CONTAINER], flavor="e2e-reboots") as asked:
            settled = cloud.settled(asked)
            assert settled.status == "ACTIVE", settled.fault
            running = cloud.reachable(settled, CONTAINER)
            answers(cloud, running)
            inside(cloud, running.id, "echo kept > /www/made")
            time.sleep(1)  # one that ends within its first second does not come back
            began = docker(cloud, *started, f"nova-{running.id}")
            docker(cloud, *_AS_ROOT, f"nova-{running.id}", "busybox", "reboot", "-f", check=False)
            until(
                lambda: (
                    docker(cloud, "inspect", "--format={{.State.StartedAt}}", f"nova-{running.id}") != began
                ),
                seconds=10,
                why="started again",
            )
            answers(cloud, running)
            assert file(running, "made") == "kept"
            assert admin.get_server(running.id).status == "ACTIVE"
            docker(cloud, *_AS_ROOT, f"nova-{running.id}", "busybox", "poweroff", "-f", check=False)
            cloud.becomes(running.id, "SHUTOFF", seconds=20)
        # Where the flavor does not give the capability, not even root may ask.
        began = docker(cloud, *started, f"nova-{server.id}")
        docker(cloud, *_AS_ROOT, f"nova-{server.id}", "busybox", "reboot", "-f", check=False)
        answers(cloud, server)
        assert docker(cloud, *started, f"nova-{server.id}") == began
    finally:
        admin.delete_flavor(flavor)


def test_delete_from_every_state(cloud, images):
    """Those that rest; RESCUE is another file's, SHUTOFF and ERROR are met in many."""
    compute = cloud.connection.compute
    ways = {
        "SUSPENDED": compute.suspend_server,
        "PAUSED": compute.pause_server,
        "SHELVED_OFFLOADED": compute.shelve_server,
    }
    asked = {state: cloud.create(f"e2e-{state}", images[CONTAINER]) for state in ways}
    for state, ask in ways.items():
        settled = cloud.settled(asked[state])
        assert settled.status == "ACTIVE", settled.fault
        ask(settled.id)
    for state, each in asked.items():
        cloud.becomes(each.id, state, seconds=120)
    for each in asked.values():
        cloud.remove(each.id)
        assert docker(cloud, "ps", "--all", "--quiet", f"--filter=label=nova.docker.uuid={each.id}") == ""
        assert remains(cloud, each.id) == NOTHING
    assert not [one.name for one in cloud.connection.image.images() if one.name.endswith("-shelved")]


def test_a_soft_deleted_server_comes_back(own_cloud, server):
    """With `reclaim_instance_interval` every delete is soft; a second, forced one is not."""
    cloud = own_cloud
    compute = cloud.connection.compute
    inside(cloud, server.id, "echo soft > /www/made")
    options = {"DEFAULT": {"reclaim_instance_interval": 3600}}
    with cloud.configured("nova/nova.conf", options, restart=["nova-api", "nova-docker"]):
        compute.delete_server(server.id)
        cloud.becomes(server.id, "SOFT_DELETED")
        assert not get(f"http://{server.address}/", seconds=2)
        assert docker(cloud, "inspect", "--format={{.State.Status}}", f"nova-{server.id}") == "exited"
        compute.restore_server(server.id)
        cloud.becomes(server.id, "ACTIVE")
        answers(cloud, server)
        assert file(server, "made") == "soft"
