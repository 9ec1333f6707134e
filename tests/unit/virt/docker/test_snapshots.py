# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""Snapshots on fakes: what the image is, what Nova is told, and that nothing stays behind."""

from pathlib import Path
from typing import Any

import pytest
from nova import exception
from nova.compute import power_state, task_states
from tests.fakes import docker_archive, nova_objects
from tests.unit.virt.docker.conftest import Bench, spawn

from novadocker.virt.docker import archive, driver, names


@pytest.fixture
def made(bench: Bench) -> driver.DockerDriver:
    return bench.driver()


@pytest.fixture
def server(bench: Bench, made: driver.DockerDriver) -> Any:
    server = bench.server()
    spawn(made, server, [nova_objects.port()])
    bench.engine.put(_workload(server), docker_archive.tar({"made": b"by the server"}))
    return server


def _workload(server: Any) -> str:
    return names.container(uuid=server.uuid, role=names.WORKLOAD)


def _snapshot(made: driver.DockerDriver, server: Any, image_id: str) -> list[tuple[str | None, str | None]]:
    told = []

    def update(task_state: str | None, expected_state: str | None = None) -> None:
        told.append((task_state, expected_state))
        server.task_state = task_state

    made.snapshot(nova_objects.CONTEXT, server, image_id, update)
    return told


def _nothing_stays(bench: Bench, server: Any) -> bool:
    copies = bench.engine.list(host="host-docker", role=names.SNAPSHOT)
    return not copies and names.snapshot_tag(server.uuid) not in bench.engine.tags()


@pytest.mark.parametrize("state", ["running", "paused", "stopped"])
def test_the_disk_becomes_an_image(
    bench: Bench, made: driver.DockerDriver, server: Any, state: str, tmp_path: Path
) -> None:
    {"running": lambda _: None, "paused": made.pause, "stopped": made.power_off}[state](server)
    before = made.get_info(server).state
    image_id = bench.image_service.create(container_format="bare", properties={"os_command_line": "run"})
    told = _snapshot(made, server, image_id)
    assert told == [
        (task_states.IMAGE_PENDING_UPLOAD, None),
        (task_states.IMAGE_UPLOADING, task_states.IMAGE_PENDING_UPLOAD),
    ]
    image = bench.image_service.images[image_id]
    assert (image["status"], image["container_format"], image["disk_format"]) == ("active", "docker", "raw")
    assert (image["name"], image["size"]) == ("snap", len(bench.image_service.data[image_id]))
    assert image["properties"]["image_location"] == "snapshot"
    path = tmp_path / "snapshot"
    path.write_bytes(bench.image_service.data[image_id])
    found = archive.inspect(path, architecture="amd64", disk_limit=1 << 30)
    assert found.config["config"]["Cmd"] == ["runs"]
    assert made.get_info(server).state == before
    assert _nothing_stays(bench, server)
    # A running server's disk is copied first: it goes on while the copy is read.
    copied = set(bench.engine.exported) != {_workload(server)}
    assert copied == (state == "running")
    bench.archives[image_id] = bench.image_service.data[image_id]
    second = nova_objects.server(image_ref=image_id)
    spawn(made, second, [])
    tar = b"".join(bench.engine.export(_workload(second)))
    assert b"by the server" in tar


def test_an_image_deleted_meanwhile_is_not_found(
    bench: Bench, made: driver.DockerDriver, server: Any
) -> None:
    with pytest.raises(exception.ImageNotFound):
        _snapshot(made, server, "nothing")
    image_id = bench.image_service.create()
    bench.image_service.meanwhile = bench.image_service.images.clear
    with pytest.raises(exception.ImageNotFound):
        _snapshot(made, server, image_id)
    assert made.get_info(server).state == power_state.RUNNING
    assert _nothing_stays(bench, server)


def test_a_server_deleted_meanwhile_ends_the_snapshot(
    bench: Bench, made: driver.DockerDriver, server: Any
) -> None:
    image_id = bench.image_service.create()

    def update(task_state: str, expected_state: str | None = None) -> None:
        if task_state == task_states.IMAGE_UPLOADING:
            raise exception.UnexpectedDeletingTaskStateError(
                instance_uuid=server.uuid, expected={}, actual={"task_state": "deleting"}
            )

    with pytest.raises(exception.UnexpectedDeletingTaskStateError):
        made.snapshot(nova_objects.CONTEXT, server, image_id, update)
    assert bench.image_service.images[image_id]["status"] == "queued"
    assert _nothing_stays(bench, server)


def test_a_disk_that_goes_away_while_it_is_read(bench: Bench, made: driver.DockerDriver, server: Any) -> None:
    made.power_off(server)
    image_id = bench.image_service.create()
    reads = []

    def gone() -> None:
        reads.append(bench.engine.remove(_workload(server)))

    bench.engine.put(_workload(server), docker_archive.tar({"large": bytes(10_000)}))
    bench.image_service.meanwhile = gone
    with pytest.raises(exception.NovaException, match="No such container"):
        _snapshot(made, server, image_id)
    assert reads
    assert bench.image_service.images[image_id]["status"] == "queued"
    server.task_state = task_states.IMAGE_SNAPSHOT
    with pytest.raises(exception.InstanceNotRunning):
        _snapshot(made, server, image_id)
    assert server.task_state is None, "Nova leaves it, and the server would take no request any more"


def test_half_an_image_is_none(bench: Bench, made: driver.DockerDriver, server: Any) -> None:
    image_id = bench.image_service.create()
    bench.image_service.breaks = True
    with pytest.raises(exception.NovaException, match="did not get the whole disk"):
        _snapshot(made, server, image_id)
    assert _nothing_stays(bench, server)


def test_what_an_ended_service_left_is_removed_at_start(
    bench: Bench, made: driver.DockerDriver, server: Any
) -> None:
    with made._disks.export(server.uuid):
        assert not _nothing_stays(bench, server)
        bench.driver().init_host("host-docker")
        assert _nothing_stays(bench, server)
    bench.engine.commit(_workload(server), reference=names.snapshot_tag(server.uuid))
    bench.driver().init_host("host-docker")
    assert _nothing_stays(bench, server)
