# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""Ephemeral disks: made with a server, kept while it is, gone with it."""

from dataclasses import replace

import pytest
from nova import exception
from nova.compute import power_state
from tests.fakes.engine import FACTS
from tests.fakes.nova_objects import CONTEXT
from tests.unit.virt.docker.conftest import Bench, spawn

from novadocker.virt.docker import ephemeral, names

GIB = 1 << 30
DEVICES = {"ephemerals": [{"size": 2, "device_name": "/dev/sdb"}, {"size": 1, "device_name": "/dev/sdc"}]}


@pytest.fixture
def btrfs(bench: Bench) -> Bench:
    bench.engine._facts = replace(FACTS, storage_driver="btrfs", root_dir=str(bench.folder))
    return bench


def _made_of(bench: Bench, uuid: str) -> dict[str, str]:
    return dict(bench.engine.specs[names.container(uuid=uuid, role=names.WORKLOAD)].disks)


def test_each_is_a_folder_of_its_size(btrfs: Bench) -> None:
    server, made = btrfs.server(), btrfs.driver()
    spawn(made, server, [], block_device_info=DEVICES)
    place = btrfs.folder / "nova-docker" / server.uuid
    assert btrfs.store.sizes == {place / "ephemeral0": 2 * GIB, place / "ephemeral1": GIB}
    mounted = {str(place / "ephemeral0"): "/mnt/ephemeral0", str(place / "ephemeral1"): "/mnt/ephemeral1"}
    assert _made_of(btrfs, server.uuid) == mounted
    made.destroy(CONTEXT, server, [])
    assert (btrfs.store.sizes, place.exists()) == ({}, False)


def test_a_container_made_again_has_those_it_had(btrfs: Bench) -> None:
    server, made = btrfs.server(), btrfs.driver()
    spawn(made, server, [], block_device_info=DEVICES)
    before = _made_of(btrfs, server.uuid)
    made._containers.remove(server.uuid)
    made.reboot(CONTEXT, server, [], "HARD", block_device_info=DEVICES)
    assert _made_of(btrfs, server.uuid) == before != {}


def test_a_move_keeps_them(btrfs: Bench) -> None:
    server, made = btrfs.server(), btrfs.driver()
    spawn(made, server, [], block_device_info=DEVICES)
    made.destroy(CONTEXT, server, [], destroy_disks=False)
    assert len(btrfs.store.sizes) == 2


def test_their_content_does_not_travel(btrfs: Bench) -> None:
    server, made = btrfs.server(), btrfs.driver()
    spawn(made, server, [], block_device_info=DEVICES)
    with pytest.raises(exception.InstanceFaultRollback, match="does not travel"):
        made.migrate_disk_and_power_off(CONTEXT, server, "another", server.flavor, [], DEVICES)
    assert made.get_info(server).state == power_state.RUNNING


def test_storage_without_sizes_has_none(bench: Bench) -> None:
    server, made = bench.server(), bench.driver()
    with pytest.raises(exception.BuildAbortException, match=r"no ephemeral disks.*overlay2"):
        spawn(made, server, [], block_device_info=DEVICES)
    assert (made.list_instance_uuids(), bench.store.sizes) == ([], {})


def test_storage_that_refuses_ends_the_build(btrfs: Bench) -> None:
    btrfs.store.full = True
    server, made = btrfs.server(), btrfs.driver()
    with pytest.raises(exception.BuildAbortException, match="No space left"):
        spawn(made, server, [], block_device_info=DEVICES)
    assert made.list_instance_uuids() == []


def test_what_nova_says_of_devices() -> None:
    assert ephemeral.sizes_gb(None) == ephemeral.sizes_gb({}) == []
    assert ephemeral.sizes_gb(DEVICES) == [2, 1]
