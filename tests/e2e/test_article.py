# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""What the article shows, on the cloud that `up` made."""

import subprocess

import pytest
from tests.e2e.backends import BACKEND, BOTH
from tests.e2e.cloud import CONTAINER, MACHINE, WORDS, until

pytestmark = BOTH
# Who makes ports work.
SWITCHING = {"ovn": "ovn-controller", "ovs": "neutron-openvswitch-agent"}


def test_two_computes_are_up_on_one_host(cloud):
    computes = {
        row["Host"]: row for row in cloud.openstack("compute", "service", "list", "--service", "nova-compute")
    }
    assert set(computes) == {cloud.host, cloud.docker_host}
    assert {(row["Status"], row["State"]) for row in computes.values()} == {("enabled", "up")}


def test_there_are_two_hypervisors_of_different_types(cloud):
    listed = cloud.openstack("hypervisor", "list")
    types = {row["Hypervisor Hostname"]: row["Hypervisor Type"] for row in listed}
    assert types == {cloud.host: "QEMU", cloud.docker_host: "docker"}
    assert {row["State"] for row in listed} == {"up"}


def test_one_agent_serves_both(cloud):
    agents = cloud.openstack("network", "agent", "list")
    assert {row["Host"] for row in agents} == {cloud.host}
    kinds = sorted(row["Binary"] for row in agents)
    assert len(kinds) == len(set(kinds))
    assert SWITCHING[BACKEND] in kinds
    assert all(row["Alive"] for row in agents)


def test_the_member_sees_no_hypervisor_and_no_service(cloud):
    for words in (("hypervisor", "list"), ("compute", "service", "list")):
        refused = cloud.command("openstack", "--os-cloud", f"{cloud.name}-member", *words, check=False)
        assert refused.returncode != 0
        assert "403" in refused.stderr


def test_nova_service_list(cloud):
    listed = cloud.nova("service-list").stdout
    assert listed.count("nova-compute") == 2
    assert "| down " not in listed


@pytest.mark.parametrize("member", [False, True], ids=["admin", "member"])
def test_nova_boot_and_nova_list(cloud, images, member):
    name = f"e2e-novaclient-{'member' if member else 'admin'}"
    for image in images.values():
        assert image.visibility == "shared"
    cloud.nova("boot", "--image", "e2e-container", "--flavor", "m1.small", name, member=member)
    server = cloud.connection.compute.find_server(name, ignore_missing=False)
    try:
        row = until(
            lambda: next(
                (
                    line
                    for line in cloud.nova("list", member=member).stdout.splitlines()
                    if f" {name} " in line
                ),
                None,
            ),
            seconds=20,
            why="nova list",
        )
        settled = cloud.settled(server)
        assert settled.status == "ACTIVE", settled.fault
        row = next(
            line for line in cloud.nova("list", member=member).stdout.splitlines() if f" {name} " in line
        )
        assert " ACTIVE " in row
        assert "private=10.20.0." in row
    finally:
        cloud.remove(server.id)


def test_the_story_can_be_told_twice(cloud):
    for _ in range(2):
        told = cloud.story()
        assert WORDS[CONTAINER] in told
        assert WORDS[MACHINE] in told
    listed = [server.name for server in cloud.connection.compute.servers()]
    assert sorted(name for name in listed if name.startswith("test")) == ["test1", "test2"]
    docker = ["docker", "-H", f"unix://{cloud.run_dir}/docker/docker.sock", "images"]
    assert (
        "nova-docker/httpd" not in subprocess.run(docker, check=True, capture_output=True, text=True).stdout
    )
    for server in cloud.connection.compute.servers(name="^test[12]$"):
        cloud.remove(server.id)


def test_a_user_s_own_programs_have_not_noticed(passing_cloud):
    assert passing_cloud.neighbours() == passing_cloud.neighbours_before
