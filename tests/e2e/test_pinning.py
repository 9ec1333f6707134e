# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""Processors of one's own: in a configuration that divides the machine's between the hypervisors."""

import os

import pytest
from tests.e2e import inside
from tests.e2e.cloud import until

OWN, OTHERS = max(os.sched_getaffinity(0)), sorted(os.sched_getaffinity(0))[:-1]


def _inventory(cloud, name: str) -> dict:
    session = cloud.connection.session
    endpoint = session.get_endpoint(service_type="placement")
    (provider,) = session.get(f"{endpoint}/resource_providers?name={name}").json()["resource_providers"]
    return session.get(f"{endpoint}/resource_providers/{provider['uuid']}/inventories").json()["inventories"]


def _says(cloud, service: str, words: str) -> bool:
    return words in (cloud.root / "log" / f"{service}.log").read_text(errors="replace")[-200_000:]


@pytest.fixture(scope="module")
def divided(cloud, root_image):
    if not cloud.ours:
        pytest.skip("the cloud of NOVA_DOCKER_CLOUD is not ours to configure")
    others = ",".join(map(str, OTHERS))
    # Servers that are here already share the rest: Placement gives up no class of which something is in use.
    docker = {
        "DEFAULT": {"reserved_host_cpus": 0},
        "compute": {"cpu_dedicated_set": OWN, "cpu_shared_set": others},
    }
    libvirt = {"DEFAULT": {"reserved_host_cpus": 0}, "compute": {"cpu_shared_set": others}}
    with cloud.configured("nova-libvirt/nova-libvirt.conf", libvirt, restart=["nova-libvirt"]):
        until(
            lambda: _inventory(cloud, cloud.host)["VCPU"]["total"] == len(OTHERS),
            seconds=60,
            why="libvirt's share",
        )
        with cloud.configured("nova-docker/nova-docker.conf", docker, restart=["nova-docker"]):
            until(
                lambda: _inventory(cloud, cloud.docker_host).get("PCPU"),
                seconds=90,
                why="PCPU of the docker host",
            )
            yield root_image
    until(lambda: "PCPU" not in _inventory(cloud, cloud.docker_host), seconds=90, why="no PCPU any more")


def test_a_server_has_a_processor_of_its_own(cloud, divided):
    assert _inventory(cloud, cloud.docker_host)["PCPU"]["total"] == 1
    assert _inventory(cloud, cloud.docker_host)["VCPU"]["total"] == len(OTHERS)
    with (
        inside.flavor(cloud, {"hw:cpu_policy": "dedicated"}) as flavor,
        cloud.server("e2e-pinned", divided, flavor=flavor.name) as asked,
    ):
        server = cloud.settled(asked)
        assert server.status == "ACTIVE", server.fault
        status = inside.run(cloud, server.id, "cat /proc/self/status").stdout
        assert f"Cpus_allowed_list:\t{OWN}\n" in status
        # It is the only one: who wants another is told so.
        with cloud.server("e2e-pinned-too", divided, flavor=flavor.name) as second:
            assert cloud.settled(second).status == "ERROR"
        cloud.connection.compute.reboot_server(server.id, "HARD")
        cloud.becomes(server.id, "ACTIVE", seconds=90)
        assert f"Cpus_allowed_list:\t{OWN}\n" in inside.run(cloud, server.id, "cat /proc/self/status").stdout


def test_it_does_not_start_on_the_other_hypervisor_s_processors(cloud, divided):
    others = ",".join(map(str, OTHERS))
    taken = {"compute": {"cpu_dedicated_set": others, "cpu_shared_set": OWN}}
    with cloud.configured("nova-docker/nova-docker.conf", taken, restart=[]):
        cloud.supervisor.stopProcess("nova-docker")
        cloud.supervisor.startProcess("nova-docker", False)  # it will not stay
        until(
            lambda: _says(cloud, "nova-docker", f"names processors that {cloud.host} uses too"),
            seconds=60,
            why="the refusal in the log",
        )
    # It is tried again and again, and starts with the configuration that can be.
    until(
        lambda: cloud.supervisor.getProcessInfo("nova-docker")["statename"] == "RUNNING",
        seconds=60,
        why="nova-docker runs again",
    )
