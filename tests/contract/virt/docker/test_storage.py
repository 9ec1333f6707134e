# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""What every store of sized folders does: the fake, and btrfs."""

import errno
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.fakes.storage import FakeFolderStore
from tests.functional.virt.docker import daemons

from novadocker.virt.docker.btrfs import Subvolumes
from novadocker.virt.docker.doors import FolderStore
from novadocker.virt.docker.errors import StorageError

OWNER = 231072


@pytest.fixture
def btrfs(tmp_path: Path) -> Iterator[Path]:
    daemons.require("mkfs.btrfs", "btrfs", "mount")
    disk, place = tmp_path / "disk", tmp_path / "mounted"
    with disk.open("wb") as file:
        file.truncate(256 << 20)
    place.mkdir()
    subprocess.run(["mkfs.btrfs", "-q", disk], check=True, capture_output=True)
    subprocess.run(["mount", "-o", "loop", disk, place], check=True)
    yield place
    subprocess.run(["umount", place], check=True)


@pytest.fixture(params=["fake", pytest.param("btrfs", marks=pytest.mark.functional)])
def ground(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[FolderStore, Path]:
    if request.param == "fake":
        return FakeFolderStore(), tmp_path
    return Subvolumes(), request.getfixturevalue("btrfs")


def test_a_folder_comes_and_goes(ground: tuple[FolderStore, Path]) -> None:
    store, root = ground
    place = root / "nova-docker" / "uuid" / "ephemeral0"
    for size in (20 << 20, 30 << 20):
        store.ensure(place, size=size, owner=OWNER)
        (place / "kept").touch()
    assert place.is_dir()
    assert (place / "kept").exists()
    store.remove(place)
    store.remove(place)
    assert not place.parent.exists()


def test_what_cannot_be_made_is_an_error(ground: tuple[FolderStore, Path]) -> None:
    store, root = ground
    with pytest.raises(StorageError):
        store.ensure(root / "absent" / "nova-docker" / "uuid" / "ephemeral0", size=1 << 20, owner=OWNER)


@pytest.mark.functional
def test_btrfs_holds_it_to_its_size(btrfs: Path) -> None:
    place = btrfs / "nova-docker" / "uuid" / "ephemeral0"
    store = Subvolumes()
    store.ensure(place, size=20 << 20, owner=OWNER)
    assert place.stat().st_uid == OWNER
    with pytest.raises(OSError, match="quota") as caught:
        (place / "big").write_bytes(bytes(40 << 20))
    assert caught.value.errno == errno.EDQUOT
    store.ensure(place, size=60 << 20, owner=OWNER)
    (place / "big").write_bytes(bytes(40 << 20))
