# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""A server moves between two docker hosts that share nothing; after each move it answers where it is.

One server goes through it all, in the order of the tests. Its floating IP stays on the first host's chassis,
so that its page comes through the tunnel while the server is on the second.
"""

import pytest
from tests.e2e import containers
from tests.e2e.cloud import CONTAINER, WORDS, until
from tests.e2e.second_host import second_host


@pytest.fixture(scope="module")
def second(cloud):
    if not cloud.ours:
        pytest.skip("the cloud of NOVA_DOCKER_CLOUD is not ours to add a host to")
    with second_host(cloud) as host:
        yield host


@pytest.fixture(scope="module")
def server(cloud, images, second):
    """It begins on the first host, with something written to its disk."""
    with cloud.server("e2e-moving", images[CONTAINER], host=cloud.docker_host) as made:
        settled = cloud.settled(made)
        assert settled.status == "ACTIVE", settled.fault
        server = cloud.reachable(settled, CONTAINER)
        server.page()
        _write(cloud, server, "written on the first host")
        yield server


def test_cold_migration(cloud, second, server):
    before = _disks(cloud)
    cloud.connection.compute.migrate_server(server.id)
    _becomes(cloud, server, "VERIFY_RESIZE")
    _is_on(cloud, server, host=second.name, chassis=second.chassis)
    assert _read(second, server) == "written on the first host"
    assert _disks(cloud) == before, "the disk is still in Glance"
    cloud.connection.compute.confirm_server_resize(server.id)
    _becomes(cloud, server, "ACTIVE")
    _is_on(cloud, server, host=second.name, chassis=second.chassis)
    assert not _containers(cloud, server)


def test_live_migration_is_refused_between_docker_hosts_too(cloud, second, server):
    answer = cloud.connection.compute.post(
        f"/servers/{server.id}/action",
        json={"os-migrateLive": {"host": None, "block_migration": "auto"}},
        microversion="2.25",
    )
    assert answer.status_code == 400, answer.text
    assert cloud.settled(server).status == "ACTIVE"
    _is_on(cloud, server, host=second.name, chassis=second.chassis)


def test_a_disk_that_glance_does_not_take_keeps_the_server_where_it_is(cloud, second, server):
    with second.without("glance"):
        cloud.connection.compute.migrate_server(server.id)
        until(lambda: _failed(cloud, server, "migrate"), seconds=90, why="the migration failed")
    _becomes(cloud, server, "ACTIVE")
    _is_on(cloud, server, host=second.name, chassis=second.chassis)


def test_revert(cloud, second, server):
    _write(second, server, "before the way there and back")
    cloud.connection.compute.migrate_server(server.id)
    _becomes(cloud, server, "VERIFY_RESIZE")
    _is_on(cloud, server, host=cloud.docker_host, chassis=cloud.host)
    cloud.connection.compute.revert_server_resize(server.id)
    _becomes(cloud, server, "ACTIVE")
    _is_on(cloud, server, host=second.name, chassis=second.chassis)
    assert _read(second, server) == "before the way there and back"
    assert not _containers(cloud, server)


def test_a_stopped_server_stays_stopped(cloud, second, server):
    compute = cloud.connection.compute
    compute.stop_server(server.id)
    _becomes(cloud, server, "SHUTOFF")
    compute.migrate_server(server.id)
    moved = _becomes(cloud, server, "VERIFY_RESIZE")
    assert moved.power_state == 4
    compute.confirm_server_resize(server.id)
    _becomes(cloud, server, "SHUTOFF")
    compute.start_server(server.id)
    _becomes(cloud, server, "ACTIVE")
    _is_on(cloud, server, host=cloud.docker_host, chassis=cloud.host)


def test_a_host_that_cannot_take_a_server_in_does_so_when_it_can(cloud, second, server):
    compute, before = cloud.connection.compute, _disks(cloud)
    second.kill("dockerd")
    try:
        compute.migrate_server(server.id)
        failed = _becomes(cloud, server, "ERROR")
        assert failed.compute_host == second.name
        (travelling,) = _disks(cloud) - before
        disk = cloud.connection.image.get_image(travelling)
        assert (disk.visibility, disk.owner_id) == ("private", failed.project_id)
    finally:
        second.start("dockerd")
    compute.reboot_server(server.id, "HARD")
    _becomes(cloud, server, "ACTIVE")
    _is_on(cloud, server, host=second.name, chassis=second.chassis)
    assert _read(second, server) == "before the way there and back"
    assert _disks(cloud) == before, "the disk is still in Glance"


def test_evacuation_and_the_dead_host_s_return(cloud, second, server):
    """Its container still runs there, with the server's address, when nova-compute comes back."""
    second.kill("nova-docker")
    second.forced_down(True)
    compute = cloud.connection.compute
    compute.evacuate_server(server.id)
    until(
        lambda: compute.get_server(server.id).compute_host == cloud.docker_host,
        seconds=90,
        why="the server evacuated",
    )
    _becomes(cloud, server, "SHUTOFF")  # as Nova leaves evacuated servers since microversion 2.95
    compute.start_server(server.id)
    _becomes(cloud, server, "ACTIVE")
    _is_on(cloud, server, host=cloud.docker_host, chassis=cloud.host)
    assert containers.inside(second, server.id, "echo still here") == "still here"
    second.start("nova-docker")
    until(lambda: not _containers(second, server), seconds=60, why="the server gone from its old host")
    done = f"/os-migrations?status=done&source_compute={second.name}"
    until(lambda: not compute.get(done).json()["migrations"], seconds=60, why="the evacuation completed")
    second.forced_down(False)
    until(second.reports, seconds=60, why="the second host's nova-compute up")
    _is_on(cloud, server, host=cloud.docker_host, chassis=cloud.host)


def test_a_member_s_resize_takes_the_disk_to_another_host(cloud, second, server, images):
    """With the member's own rights, which are enough for an image of the project's own."""
    member = cloud.connect(f"{cloud.name}-member").compute
    _write(cloud, server, "mine")
    (service,) = cloud.connection.compute.services(host=cloud.docker_host, binary="nova-compute")
    cloud.connection.compute.disable_service(service)
    try:
        member.resize_server(server.id, member.find_flavor("m1.small"))
        _becomes(cloud, server, "VERIFY_RESIZE")
    finally:
        cloud.connection.compute.enable_service(service)
    _is_on(cloud, server, host=second.name, chassis=second.chassis)
    assert _read(second, server) == "mine"
    member.confirm_server_resize(server.id)
    now = _becomes(cloud, server, "ACTIVE")
    assert now.flavor.original_name == "m1.small"
    _is_on(cloud, server, host=second.name, chassis=second.chassis)


def _becomes(cloud, server, status: str):
    """The server once it has this status; another final one fails at once."""

    def ask():
        now = cloud.connection.compute.get_server(server.id)
        assert now.status != "ERROR" or status == "ERROR" or now.task_state, now.fault
        return now if now.status == status and not now.task_state else None

    return until(ask, seconds=120, why=f"server {server.name} {status}")


def _is_on(cloud, server, *, host: str, chassis: str) -> None:
    """Nova, Neutron and the network agree where it is, and it answers there."""
    assert cloud.connection.compute.get_server(server.id).compute_host == host
    (port,) = cloud.connection.network.ports(device_id=server.id)
    assert (port.binding_host_id, port.binding_vif_type) == (chassis, "ovs")
    assert port.fixed_ips[0]["ip_address"] == server.fixed
    assert WORDS[CONTAINER] in server.page()


def _failed(cloud, server, action: str) -> bool:
    compute = cloud.connection.compute
    listed = compute.get(f"/servers/{server.id}/os-instance-actions").json()["instanceActions"]
    (last, *_) = [one for one in listed if one["action"] == action]  # the newest is the first
    events = compute.get(f"/servers/{server.id}/os-instance-actions/{last['request_id']}").json()
    return any(one["result"] == "Error" for one in events["instanceAction"]["events"])


def _disks(cloud) -> set[str]:
    """The hidden images of every project, as the administrator sees them."""
    return {image.id for image in cloud.connection.image.images(is_hidden=True)}


def _containers(host, server) -> str:
    """What a host's daemon has of a server."""
    return containers.docker(host, "ps", "--all", "--quiet", f"--filter=label=nova.docker.uuid={server.id}")


def _write(host, server, words: str) -> None:
    containers.inside(host, server.id, f"echo {words!r} > /written")


def _read(host, server) -> str:
    return containers.inside(host, server.id, "cat /written")
