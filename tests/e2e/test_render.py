# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""An operator's plain compute host becomes a docker host by what `nova-docker render` writes for it.

The commands of the rendered README are run as they stand there, each on the machine it names, and so are its
checks and, at the end, its undo. The controllers are this cloud's own, which have package and filter already.
"""

import json
import os
import subprocess
from pathlib import Path

import pytest
from tests.e2e.cloud import BIN, CONTAINER, REPOSITORY, WORDS, until
from tests.e2e.plain_host import pip, plain_host
from tests.functional.loading.environments import build_wheel

from novadocker.host.images import container
from novadocker.host.overlay.model import CONTROLLER, HOST, SCHEDULERS, SOCKET

MEMORY_MB, DISK_GB = 1024, 6
# Of its own: the article's story has put the other name into the cloud.
IMAGE = "e2e/rendered"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """Ours; and a plain environment without it."""
    subprocess.run([REPOSITORY / "make/environment", "plain"], check=True)
    pip("uninstall", "nova-docker")
    return build_wheel(tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def host(cloud, wheel):
    if not cloud.ours:
        pytest.skip("the cloud of NOVA_DOCKER_CLOUD is not ours to add a host to")
    with plain_host(cloud) as found:
        yield found
    pip("uninstall", "nova-docker")


@pytest.fixture(scope="module")
def rendered(host, wheel):
    """What the operator asked for on his host, and got."""
    said = host.shell(
        f"{BIN}/nova-docker render --output {host.rendered} --json "
        f"--package {wheel} --memory {MEMORY_MB} --cpus 1 --disk {DISK_GB} "
        f"--nova-compute {REPOSITORY}/build/plain/bin/nova-compute "
        f"--controller-python {BIN}/python --scheduler-conf /etc/nova/scheduler.conf",
        environment={"LC_ALL": "C.UTF-8"},
    )
    return json.loads(said)


@pytest.fixture(scope="module")
def run(cloud, host, demo, tmp_path_factory):
    """Run a line of the README where it says."""
    home = tmp_path_factory.mktemp("controller")
    (home / ".nova").symlink_to(cloud.root / "etc/nova")
    known = {name: value for name, value in os.environ.items() if not name.startswith("OS_")}
    environment = {
        **known,
        "PATH": f"{BIN}:{os.environ['PATH']}",
        "OS_CLOUD": cloud.name,
        "DOCKER_HOST": f"unix://{host.path(str(SOCKET))}",
        "IMAGE": IMAGE,
        "NETWORK": "private",
    }

    def do(command: dict) -> str:
        if command["where"] == HOST:
            return host.shell(command["line"])
        more = {"HOME": str(home)} if command["where"] == CONTROLLER else {}
        done = subprocess.run(
            ["sh", "-c", command["line"]],
            env={**environment, **more},
            check=False,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, f"{command['line']}: {done.stdout}{done.stderr}\n{host.last_words()}"
        return done.stdout

    return do


@pytest.fixture(scope="module")
def before(cloud, host):
    """The cloud as the operator knew it, with his host in it and no docker on it."""
    return _of(cloud)


def test_what_it_finds_and_where(host, rendered):
    facts = {fact["what"]: (fact["value"], fact["source"]) for fact in rendered["facts"]}
    assert facts["this host in Neutron"][0] == host.name
    assert "chassis" in facts["this host in Neutron"][1]
    assert facts["network backend"][0] == "ovn"
    assert facts["the docker service's host"][0] == f"{host.name}-docker"
    # One thing is in the way, and a step removes it.
    (problem,) = rendered["problems"]
    assert "/etc/nova/compute_id" in problem["what"]
    assert rendered["works"]
    assert not host.path("/etc/nova/nova-docker").exists()


def test_the_steps_make_it_a_docker_host(cloud, host, rendered, run, demo, before):
    for step in rendered["steps"]:
        if step["title"] == "A first container":
            docker = ("docker", "-H", f"unix://{host.path(str(SOCKET))}")
            subprocess.run([*docker, "load", "--quiet", "--input", demo.container], check=True)
            subprocess.run([*docker, "tag", container.NAME, IMAGE], check=True)
        for command in step["do"]:
            if command["where"] != SCHEDULERS:
                run(command)
        for command, says in step["check"]:
            until(lambda c=command, s=says: s in run(c), seconds=60, why=f"{step['title']}: it says {says}")
    now = _of(cloud)
    assert set(now["hypervisors"]) - set(before["hypervisors"]) == {f"{host.name}-docker"}
    assert set(now["providers"]) - set(before["providers"]) == {f"{host.name}-docker"}
    assert (
        "driver 'novadocker.virt.docker.DockerDriver'"
        in host.path("/var/log/nova/nova-docker.log").read_text()
    )


def test_its_provider_offers_what_was_asked_for(cloud, host):
    (provider,) = cloud.connection.placement.resource_providers(name=f"{host.name}-docker")
    inventories = {
        one.resource_class: one.total - one.reserved
        for one in cloud.connection.placement.resource_provider_inventories(provider)
    }
    assert inventories["MEMORY_MB"] == MEMORY_MB
    assert inventories["DISK_GB"] == DISK_GB
    assert inventories["VCPU"] == 1


def test_its_container_answers_where_neutron_put_it(cloud, host):
    server = cloud.connection.compute.find_server("first-container", ignore_missing=False, details=True)
    server = cloud.connection.compute.get_server(server.id)
    assert (server.status, server.compute_host) == ("ACTIVE", f"{host.name}-docker")
    (port,) = cloud.connection.network.ports(device_id=server.id)
    assert port.binding_host_id == host.name
    running = cloud.reachable(server, CONTAINER)
    assert WORDS[CONTAINER] in running.page()
    for address in cloud.connection.network.ips(port_id=port.id):
        cloud.connection.network.delete_ip(address)


def test_undoing_the_steps_leaves_the_cloud_as_it_was(cloud, host, rendered, run, before):
    for step in reversed(rendered["steps"]):
        for command in step["undo"]:
            if command["where"] != SCHEDULERS:
                run(command)
    until(lambda: _of(cloud) == before, seconds=60, why="the cloud as it was")
    left = host.shell(
        "find /etc/nova /etc/systemd/system /var/lib -path '*nova-docker*' ! -path '/var/lib/rendered/*'"
    )
    assert left.strip() == ""
    assert host.path("/etc/nova/compute_id").exists()
    assert "nova-docker" not in host.path("/etc/fstab").read_text()
    assert not list(Path(REPOSITORY, "build/plain").glob("lib/python3*/site-packages/novadocker*"))


def _of(cloud) -> dict[str, set[str]]:
    """What there is of it that a host could leave behind."""
    connection = cloud.connection
    return {
        "hypervisors": {each.name for each in connection.compute.hypervisors()},
        "services": {(each.binary, each.host) for each in connection.compute.services()},
        "providers": {each.name for each in connection.placement.resource_providers()},
        "agents": {(each.binary, each.host) for each in connection.network.agents()},
        "servers": {each.id for each in connection.compute.servers(all_projects=True)},
        "images": {each.id for each in connection.image.images()},
        "flavors": {each.name for each in connection.compute.flavors()},
        "ports": {each.id for each in connection.network.ports()},
        "addresses": {each.id for each in connection.network.ips()},
    }
