# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""Images come to the docker host before the first server and leave it after the last, by Nova's own means."""

import subprocess

import pytest
from tests.e2e.cloud import until


@pytest.fixture
def impatient_cloud(own_cloud):
    """The cloud, where Nova looks after images every few seconds and lets none wait for a day."""
    options = {
        "DEFAULT": {"periodic_fuzzy_delay": 0},
        "image_cache": {"manager_interval": 2, "remove_unused_original_minimum_age_seconds": 8},
    }
    with own_cloud.configured("nova-docker/nova-docker.conf", options, restart=["nova-docker"]):
        yield own_cloud


def loaded(cloud, image) -> bool:
    """Whether an image is on the daemon."""
    docker = ["docker", "-H", f"unix://{cloud.run_dir}/docker/docker.sock"]
    inspect = [*docker, "image", "inspect", f"nova-docker/glance:{image.id}"]
    return subprocess.run(inspect, check=False, capture_output=True).returncode == 0


def test_an_image_is_cached_ahead_stays_while_needed_and_goes(impatient_cloud, demo):
    cloud, compute = impatient_cloud, impatient_cloud.connection.compute
    needed = cloud.image("e2e-needed", demo.container.read_bytes(), container_format="docker")
    ahead = cloud.image("e2e-ahead", demo.container.read_bytes(), container_format="docker")
    aggregate = compute.create_aggregate(name="e2e-cache")
    try:
        compute.add_host_to_aggregate(aggregate, cloud.docker_host)
        with cloud.server("e2e-needs-it", needed) as server:
            settled = cloud.settled(server)
            assert settled.status == "ACTIVE", settled.fault
            asked = ("aggregate", "cache", "image", "e2e-cache", ahead.id)
            cloud.command("openstack", "--os-cloud", cloud.name, *asked)
            until(lambda: loaded(cloud, ahead), seconds=20, why="the image is on the daemon")
            until(lambda: not loaded(cloud, ahead), seconds=40, why="the unused image has gone")
            assert loaded(cloud, needed), "the one in use stays"
            assert compute.get_server(server.id).status == "ACTIVE"
        until(lambda: not loaded(cloud, needed), seconds=40, why="and goes after its server")
        with cloud.server("e2e-needs-it-again", needed) as server:
            settled = cloud.settled(server)
            assert settled.status == "ACTIVE", settled.fault
    finally:
        if cloud.docker_host in (compute.get_aggregate(aggregate).hosts or ()):
            compute.remove_host_from_aggregate(aggregate, cloud.docker_host)
        compute.delete_aggregate(aggregate)
        for image in (needed, ahead):
            cloud.connection.image.delete_image(image)
