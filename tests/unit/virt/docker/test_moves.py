# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""A server takes another size or another host, or fails to."""

from types import SimpleNamespace
from typing import Any

import pytest
from nova import exception, objects
from nova.compute import power_state, task_states
from tests.fakes import nova_objects
from tests.fakes.nova_objects import CONTEXT
from tests.unit.virt.docker.conftest import CONF, Bench, spawn

from novadocker.virt.docker import driver, names
from novadocker.virt.docker.errors import EngineError
from novadocker.virt.docker.moves import TRAVELLING

HERE = CONF.my_ip
THERE = "192.0.2.7"
WITHIN = SimpleNamespace(source_compute="host-docker", dest_compute="host-docker")
AWAY = SimpleNamespace(source_compute="host-docker", dest_compute="other-docker")
COMING = SimpleNamespace(source_compute="other-docker", dest_compute="host-docker")


class Moving:
    """A running server with one port, and its move as Nova's manager makes it."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.driver = bench.driver()
        self.server = bench.server()
        self.port = nova_objects.port()
        self.old = self.server.flavor
        spawn(self.driver, self.server, [self.port])

    def leave(self, dest: str, **changes: Any) -> None:
        self.new = self.old.obj_clone()
        for name, value in {"memory_mb": 128, "vcpus": 2, **changes}.items():
            setattr(self.new, name, value)
        self.driver.migrate_disk_and_power_off(CONTEXT, self.server, dest, self.new, [self.port], timeout=5)

    def finish(self, migration: Any = WITHIN, *, by: driver.DockerDriver | None = None, **more: Any) -> None:
        self.server.flavor = self.new
        meta = nova_objects.image_meta(self.server)
        known = (CONTEXT, migration, self.server, "", [self.port], meta, True, {})
        (by or self.driver).finish_migration(*known, **more)

    def revert(self, migration: Any = WITHIN) -> None:
        self.server.task_state = task_states.RESIZE_REVERTING
        self.driver.destroy(CONTEXT, self.server, [self.port])
        self.server.flavor = self.old
        self.driver.finish_revert_migration(CONTEXT, self.server, [self.port], migration)
        self.server.task_state = None

    @property
    def memory(self) -> int:
        return self.bench.engine.specs[f"nova-{self.server.uuid}"].memory >> 20

    @property
    def tags(self) -> set[str]:
        return {tag.split(":")[0] for tag in self.bench.engine.tags() if self.server.uuid in tag}


@pytest.fixture
def moving(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> Moving:
    monkeypatch.setattr(objects.Instance, "save", lambda self, **_: None)
    return Moving(bench)


def test_a_resized_server_has_its_disk_and_its_new_limits(moving: Moving) -> None:
    moving.leave(HERE)
    assert moving.driver.get_info(moving.server).state == power_state.SHUTDOWN
    moving.finish()
    assert moving.driver.get_info(moving.server).state == power_state.RUNNING
    spec = moving.bench.engine.specs[f"nova-{moving.server.uuid}"]
    kept = moving.bench.engine.image(names.kept_tag(moving.server.uuid))
    assert (spec.memory >> 20, spec.image) == (128, kept.id)
    moving.driver.confirm_migration(CONTEXT, WITHIN, moving.server, [moving.port])
    assert moving.driver.get_info(moving.server).state == power_state.RUNNING
    assert moving.tags == {names.KEPT_REPOSITORY}
    moving.driver.destroy(CONTEXT, moving.server, [moving.port])
    assert moving.tags == set()


def test_a_reverted_server_has_its_old_disk_and_its_old_limits(moving: Moving) -> None:
    moving.leave(HERE)
    before = moving.bench.engine.image(names.before_tag(moving.server.uuid))
    kept_file = moving.bench.folder / "instances" / moving.server.uuid / "kept"
    kept_file.touch()
    moving.finish()
    moving.revert()
    assert kept_file.exists()
    spec = moving.bench.engine.specs[f"nova-{moving.server.uuid}"]
    assert (spec.memory >> 20, spec.image) == (64, before.id)
    assert moving.driver.get_info(moving.server).state == power_state.RUNNING
    assert moving.tags == {names.KEPT_REPOSITORY}


def test_a_stopped_server_stays_stopped(moving: Moving) -> None:
    moving.driver.power_off(moving.server)
    moving.leave(HERE)
    moving.finish(power_on=False)
    assert moving.driver.get_info(moving.server).state == power_state.SHUTDOWN
    assert moving.memory == 128


@pytest.mark.parametrize("changes", [{"root_gb": 0}, {"ephemeral_gb": -1}])
def test_a_disk_does_not_shrink_and_the_server_runs_on(moving: Moving, changes: dict[str, int]) -> None:
    with pytest.raises(exception.InstanceFaultRollback) as refused:
        moving.leave(HERE, **changes)
    assert isinstance(refused.value.inner_exception, exception.ResizeError)
    assert "cannot shrink" in str(refused.value.inner_exception)
    assert moving.driver.get_info(moving.server).state == power_state.RUNNING


def test_without_its_daemon_a_server_does_not_leave(moving: Moving) -> None:
    moving.bench.engine.reachable = False
    with pytest.raises(exception.InstanceFaultRollback):
        moving.leave(HERE)


def test_a_server_without_a_container_does_not_leave(moving: Moving) -> None:
    moving.bench.engine.remove(f"nova-{moving.server.uuid}")
    with pytest.raises(exception.InstanceFaultRollback) as refused:
        moving.leave(HERE)
    assert "hard reboot" in str(refused.value.inner_exception)


@pytest.mark.parametrize("was_running", [True, False])
def test_a_disk_that_cannot_be_taken_along_leaves_the_server_as_it_was(
    moving: Moving, was_running: bool
) -> None:
    if not was_running:
        moving.driver.power_off(moving.server)
    moving.bench.disks.takes = False
    with pytest.raises(exception.InstanceFaultRollback):
        moving.leave(THERE)
    running = moving.driver.get_info(moving.server).state == power_state.RUNNING
    assert running == was_running
    assert moving.tags == set()
    assert TRAVELLING not in moving.server.system_metadata
    assert moving.port["devname"] in moving.bench.switch.ports


def test_a_new_size_that_cannot_be_made_is_made_by_a_hard_reboot(
    moving: Moving, monkeypatch: pytest.MonkeyPatch
) -> None:
    moving.leave(HERE)
    monkeypatch.setattr(moving.bench.engine, "create", _refuses)
    with pytest.raises(exception.NovaException, match="Could not create"):
        moving.finish()
    monkeypatch.undo()
    moving.server.flavor = moving.old  # as the manager does
    moving.driver.reboot(CONTEXT, moving.server, [moving.port], "HARD")
    kept = moving.bench.engine.image(names.kept_tag(moving.server.uuid))
    assert moving.bench.engine.specs[f"nova-{moving.server.uuid}"].image == kept.id
    assert moving.memory == 64


def test_a_disk_travels_through_glance(moving: Moving, bench: Bench) -> None:
    moving.leave(THERE)
    assert moving.bench.disks.held == {moving.server.system_metadata[TRAVELLING]}
    assert moving.port["devname"] not in bench.switch.ports
    there = Arrival(bench)
    moving.server.host = "other-docker"
    there.finish(moving)
    assert there.bench.disks.held == set()
    assert TRAVELLING not in moving.server.system_metadata
    assert there.driver.get_info(moving.server).state == power_state.RUNNING
    assert there.bench.switch.ports[moving.port["devname"]].owner == "other-docker"
    CONF.set_override("host", "host-docker")
    moving.driver.confirm_migration(CONTEXT, AWAY, moving.server, [moving.port])
    with pytest.raises(exception.InstanceNotFound):
        moving.driver.get_info(moving.server)
    assert moving.tags == set()


def test_what_arrives_replaces_what_an_earlier_stay_left(moving: Moving, bench: Bench) -> None:
    moving.leave(THERE)
    moving.finish(COMING)
    spec = moving.bench.engine.specs[f"nova-{moving.server.uuid}"]
    kept = bench.engine.image(names.kept_tag(moving.server.uuid))
    assert (spec.image, moving.memory) == (kept.id, 128)
    assert bench.disks.held == set()


def test_a_disk_that_did_not_arrive_is_fetched_by_a_hard_reboot(moving: Moving, bench: Bench) -> None:
    moving.leave(THERE)
    (image_id,) = bench.disks.held
    archive = bench.archives.pop(image_id)
    with pytest.raises(KeyError):
        moving.finish(COMING)
    assert bench.disks.held == {image_id}
    bench.archives[image_id] = archive
    with pytest.raises(exception.InstancePowerOnFailure, match="hard reboot"):
        moving.driver.power_on(CONTEXT, moving.server, [moving.port])
    moving.driver.reboot(CONTEXT, moving.server, [moving.port], "HARD")
    assert moving.driver.get_info(moving.server).state == power_state.RUNNING
    assert bench.disks.held == set()


def test_an_older_disk_left_here_is_not_taken_for_the_one_that_comes(moving: Moving, bench: Bench) -> None:
    """The daemon was away when the server should have arrived, so that nothing could be removed."""
    moving.leave(THERE)
    bench.engine.reachable = False
    with pytest.raises(exception.NovaException):
        moving.finish(COMING)
    bench.engine.reachable = True
    moving.driver.reboot(CONTEXT, moving.server, [moving.port], "HARD")
    kept = bench.engine.image(names.kept_tag(moving.server.uuid))
    assert bench.engine.specs[f"nova-{moving.server.uuid}"].image == kept.id
    assert bench.disks.held == set()


def test_a_server_that_arrives_without_its_disk_is_not_made_anew(moving: Moving) -> None:
    moving.leave(THERE)
    del moving.server.system_metadata[TRAVELLING]
    with pytest.raises(exception.NovaException, match="No disk"):
        moving.finish(COMING)


def test_an_evacuated_server_is_built_where_an_earlier_stay_left_something(moving: Moving) -> None:
    moving.leave(THERE)
    del moving.server.system_metadata[TRAVELLING]
    moving.server.host = "other-docker"
    assert not moving.driver.instance_exists(moving.server)
    spawn(moving.driver, moving.server, [moving.port])
    assert moving.tags == set()
    assert moving.driver.get_info(moving.server).state == power_state.RUNNING


def test_a_server_evacuated_on_its_way_has_its_disk(moving: Moving, monkeypatch: pytest.MonkeyPatch) -> None:
    moving.leave(THERE)
    moving.server.host = "other-docker"
    with monkeypatch.context() as broken:
        broken.setattr(moving.bench.engine, "create", _refuses)
        with pytest.raises(exception.BuildAbortException):
            spawn(moving.driver, moving.server, [moving.port])
    assert moving.bench.disks.held, "not built, not forgotten"
    spawn(moving.driver, moving.server, [moving.port])
    kept = moving.bench.engine.image(names.kept_tag(moving.server.uuid))
    assert moving.bench.engine.specs[f"nova-{moving.server.uuid}"].image == kept.id
    assert moving.bench.disks.held == set()


def test_a_server_deleted_on_its_way_leaves_no_disk(moving: Moving, bench: Bench) -> None:
    moving.leave(THERE)
    moving.server.host = "other-docker"
    moving.driver.destroy(CONTEXT, moving.server, [moving.port])
    assert bench.disks.held, "another host's to remove"
    moving.server.host = "host-docker"
    moving.driver.destroy(CONTEXT, moving.server, [moving.port])
    assert bench.disks.held == set()


def test_a_move_cut_short_is_undone_at_start(moving: Moving) -> None:
    """Nova calls it for a server that was leaving when nova-compute ended."""
    moving.leave(HERE)
    moving.driver.finish_revert_migration(CONTEXT, moving.server, [moving.port], WITHIN)
    assert moving.driver.get_info(moving.server).state == power_state.RUNNING
    assert moving.tags == set()


def test_a_server_without_a_disk_to_go_back_to_is_not_made_anew(moving: Moving) -> None:
    moving.leave(HERE)
    moving.driver.destroy(CONTEXT, moving.server, [moving.port])
    with pytest.raises(exception.NovaException, match="gone"):
        moving.driver.finish_revert_migration(CONTEXT, moving.server, [moving.port], WITHIN)


def test_leftovers_of_a_failed_move_go_with_the_server_s_files(moving: Moving) -> None:
    moving.leave(THERE)
    assert moving.driver.delete_instance_files(moving.server)
    with pytest.raises(exception.InstanceNotFound):
        moving.driver.get_info(moving.server)


class Arrival:
    """A second host, with nothing of the first but Glance."""

    def __init__(self, first: Bench) -> None:
        CONF.set_override("host", "other-docker")
        self.bench = Bench(first.folder, kept=first.kept)
        self.bench.archives.update(first.archives)
        self.bench.disks = first.disks
        self.driver = self.bench.driver()

    def finish(self, moving: Moving) -> None:
        moving.finish(AWAY, by=self.driver)


def _refuses(spec: Any) -> str:
    raise EngineError("Could not create container.", facts="no space left on device")
