# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""A server takes another size on its host and keeps its disk; what cannot be moved stays as it is."""

import json

import pytest
from tests.e2e import containers
from tests.e2e.cloud import CONTAINER, KINDS, WORDS, until


@pytest.fixture(scope="module")
def resized(cloud, images):
    """A container and a VM of their own: what goes wrong here is nobody else's."""
    made = {}
    try:
        for kind in KINDS:
            made[kind] = cloud.create(f"e2e-resize-{kind}", images[kind])
        yield {kind: cloud.reachable(_active(cloud, made[kind]), kind) for kind in KINDS}
    finally:
        for server in made.values():
            cloud.remove(server.id)


@pytest.fixture(scope="module")
def bigger(cloud):
    """A flavor with more of everything than m1.tiny."""
    compute = cloud.connection.compute
    flavor = compute.create_flavor(name="e2e.bigger", vcpus=2, ram=192, disk=2)
    yield flavor
    compute.delete_flavor(flavor)


def test_confirm(cloud, resized, bigger, kind):
    server = resized[kind]
    server.page()
    port, write = _port(cloud, server), _writer(cloud, server)
    write("before the resize")
    _resize(cloud, server, bigger)
    assert WORDS[kind] in server.page()
    cloud.connection.compute.confirm_server_resize(server.id)
    now = cloud.becomes(server.id, "ACTIVE")
    assert now.flavor.original_name == bigger.name
    assert WORDS[kind] in server.page()
    assert _port(cloud, server) == port
    if kind == CONTAINER:
        assert _read(cloud, server) == "before the resize"
        assert _limits(cloud, server) == (192 << 20, 2, 2 << 30)


def test_a_smaller_disk_is_refused_and_the_server_runs_on(cloud, resized, kind):
    server = resized[kind]
    compute = cloud.connection.compute
    compute.resize_server(server.id, compute.find_flavor("m1.tiny"))
    event = until(lambda: _failed(cloud, server, "resize"), seconds=60, why="the resize refused")
    assert event["result"] == "Error"
    now = cloud.settled(server)
    assert (now.status, now.flavor.original_name) == ("ACTIVE", "e2e.bigger")
    assert WORDS[kind] in server.page()


def test_revert(cloud, resized, kind):
    server = resized[kind]
    port, write = _port(cloud, server), _writer(cloud, server)
    write("the disk to go back to")
    _resize(cloud, server, cloud.connection.compute.find_flavor("m1.medium"))
    write("written while it was bigger")
    cloud.connection.compute.revert_server_resize(server.id)
    now = cloud.becomes(server.id, "ACTIVE", seconds=120)
    assert now.flavor.original_name == "e2e.bigger"
    assert WORDS[kind] in server.page()
    assert _port(cloud, server) == port
    if kind == CONTAINER:
        assert _read(cloud, server) == "the disk to go back to"
        assert _limits(cloud, server) == (192 << 20, 2, 2 << 30)


def test_a_stopped_server_stays_stopped(cloud, resized, kind):
    server = resized[kind]
    compute = cloud.connection.compute
    # Whoever runs this a second time finds it with the one of the first.
    before = compute.get_server(server.id).flavor.original_name
    flavor = "m1.large" if before == "m1.medium" else "m1.medium"
    compute.stop_server(server.id)
    cloud.becomes(server.id, "SHUTOFF", seconds=90)
    _resize(cloud, server, compute.find_flavor(flavor))
    assert compute.get_server(server.id).power_state == 4
    compute.confirm_server_resize(server.id)
    now = cloud.becomes(server.id, "SHUTOFF")
    assert now.flavor.original_name == flavor
    compute.start_server(server.id)
    cloud.becomes(server.id, "ACTIVE")
    assert WORDS[kind] in server.page()
    if kind == CONTAINER:
        assert _read(cloud, server) == "the disk to go back to"
        assert containers.remains(cloud, server.id)["images"] == [f"nova-docker/kept:{server.id}"]


@pytest.mark.parametrize("named", [False, True])
def test_there_is_no_other_host_of_its_kind_to_migrate_to(cloud, resized, kind, named):
    """The other hypervisor's host is no place for it, even if an administrator names it."""
    server = resized[kind]
    other = cloud.host if kind == CONTAINER else cloud.docker_host
    cloud.connection.compute.migrate_server(server.id, host=other if named else None)
    event = until(lambda: _failed(cloud, server, "migrate"), seconds=60, why="the migration refused")
    assert event["result"] == "Error"
    now = cloud.settled(server)
    assert now.status == "ACTIVE"
    assert now.compute_host == (cloud.docker_host if kind == CONTAINER else cloud.host)
    assert WORDS[kind] in server.page()


def test_live_migration_is_refused_and_changes_nothing(cloud, resized):
    """Until 2.33 the answer waits for the checks; from then on it is 202, and the migration fails."""
    server = resized[CONTAINER]
    answer = cloud.connection.compute.post(
        f"/servers/{server.id}/action",
        json={"os-migrateLive": {"host": None, "block_migration": "auto"}},
        microversion="2.25",
    )
    assert answer.status_code == 400, answer.text
    assert cloud.settled(server).status == "ACTIVE"
    assert WORDS[CONTAINER] in server.page()


def _active(cloud, server):
    settled = cloud.settled(server)
    assert settled.status == "ACTIVE", settled.fault
    return settled


def _resize(cloud, server, flavor) -> None:
    cloud.connection.compute.resize_server(server.id, flavor)
    now = until(
        lambda: (
            now
            if (now := cloud.connection.compute.get_server(server.id)).status in ("VERIFY_RESIZE", "ERROR")
            else None
        ),
        seconds=120,
        why=f"{server.name} resized",
    )
    assert now.status == "VERIFY_RESIZE", now.fault
    assert now.flavor.original_name == flavor.name


def _failed(cloud, server, action: str):
    """The failed event of a server's last action of this name."""
    compute = cloud.connection.compute
    listed = compute.get(f"/servers/{server.id}/os-instance-actions").json()["instanceActions"]
    (last, *_) = [one for one in listed if one["action"] == action]  # the newest is the first
    events = compute.get(f"/servers/{server.id}/os-instance-actions/{last['request_id']}").json()
    return next((one for one in events["instanceAction"]["events"] if one["result"] == "Error"), None)


def _port(cloud, server) -> tuple[str, str, str]:
    """Where a server's port is bound, and its address."""
    (port,) = cloud.connection.network.ports(device_id=server.id)
    assert port.status == "ACTIVE"
    return port.binding_host_id, port.binding_vif_type, port.fixed_ips[0]["ip_address"]


def _writer(cloud, server):
    """Write a file on a container's disk; on a VM's, which has no agent, nothing."""

    def write(words: str) -> None:
        if server.kind == CONTAINER:
            containers.inside(cloud, server.id, f"echo {words!r} > /written")

    return write


def _read(cloud, server) -> str:
    return containers.inside(cloud, server.id, "cat /written")


def _limits(cloud, server) -> tuple[int, int, int]:
    """A container's memory in bytes, processors, and root disk in bytes, as the daemon holds it to them."""
    (found,) = json.loads(containers.docker(cloud, "inspect", f"nova-{server.id}"))
    limits = found["HostConfig"]
    return (
        limits["Memory"],
        limits["CpuQuota"] // limits["CpuPeriod"],
        int((limits["StorageOpt"] or {}).get("size", 0)),
    )
