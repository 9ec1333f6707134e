# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""The first operations, on a container and on a VM alike; after each the page is there as before."""

import subprocess

from tests.e2e.backends import BOTH
from tests.e2e.cloud import CONTAINER, WORDS, get, until


def test_the_console_log_tells_what_the_server_prints(cloud, servers, kind):
    servers[kind].page()
    shown = cloud.command(
        "openstack", "--os-cloud", cloud.name, "console", "log", "show", servers[kind].id
    ).stdout
    assert "serving its page on port 80" in shown


@BOTH
def test_stop_and_start(cloud, servers, kind):
    server = servers[kind]
    server.page()
    cloud.connection.compute.stop_server(server.id)
    stopped = cloud.becomes(server.id, "SHUTOFF", seconds=90)
    assert stopped.power_state == 4
    assert not get(f"http://{server.address}/")
    cloud.connection.compute.start_server(server.id)
    started = cloud.becomes(server.id, "ACTIVE")
    assert started.power_state == 1
    assert WORDS[kind] in server.page()


@BOTH
def test_soft_reboot(cloud, servers, kind):
    _reboot(cloud, servers[kind], "SOFT")


@BOTH
def test_hard_reboot(cloud, servers, kind):
    _reboot(cloud, servers[kind], "HARD")


def _reboot(cloud, server, how: str) -> None:
    server.page()
    before = _actions(cloud, server)
    cloud.connection.compute.reboot_server(server.id, how)
    until(lambda: _actions(cloud, server) - before, seconds=20, why="the reboot began")
    cloud.becomes(server.id, "ACTIVE", seconds=120)
    assert WORDS[server.kind] in server.page()
    (action,) = _actions(cloud, server) - before
    details = cloud.connection.compute.get(f"/servers/{server.id}/os-instance-actions/{action}").json()
    events = details["instanceAction"]["events"]
    assert events
    assert {event["result"] for event in events} == {"Success"}, events


def _actions(cloud, server) -> set[str]:
    listed = cloud.connection.compute.get(f"/servers/{server.id}/os-instance-actions").json()[
        "instanceActions"
    ]
    return {action["request_id"] for action in listed if action["action"] == "reboot"}


def test_pause_and_unpause(cloud, servers, kind):
    server = servers[kind]
    server.page()
    cloud.connection.compute.pause_server(server.id)
    assert cloud.becomes(server.id, "PAUSED").power_state == 3
    assert not get(f"http://{server.address}/")
    cloud.connection.compute.unpause_server(server.id)
    assert cloud.becomes(server.id, "ACTIVE").power_state == 1
    assert WORDS[kind] in server.page()


@BOTH
def test_delete_leaves_nothing_of_the_server(cloud, images, kind):
    server = cloud.settled(cloud.create(f"e2e-delete-{kind}", images[kind]))
    assert server.status == "ACTIVE", server.fault
    (port,) = cloud.connection.network.ports(device_id=server.id)
    assert port.id in _switch(cloud)
    cloud.remove(server.id)
    until(lambda: port.id not in _switch(cloud), seconds=10, why="the switch's port gone")
    if kind == CONTAINER:
        docker = ["docker", "-H", f"unix://{cloud.run_dir}/docker/docker.sock", "ps", "--all", "--quiet"]
        filtered = [*docker, f"--filter=label=nova.docker.uuid={server.id}"]
        assert not subprocess.run(filtered, check=True, capture_output=True, text=True).stdout
    else:
        uri = f"qemu+unix:///system?socket={cloud.run_dir}/libvirt/libvirt-sock"
        listed = subprocess.run(
            ["virsh", "-c", uri, "list", "--all", "--uuid"], check=True, capture_output=True, text=True
        )
        assert server.id not in listed.stdout


def _switch(cloud) -> str:
    command = ["ovs-vsctl", f"--db=unix:{cloud.run_dir}/ovs/db.sock", "list", "interface"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout
