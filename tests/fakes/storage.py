# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""Folders with a size, in memory of their size alone: a plain file system holds them to nothing."""

import shutil
from pathlib import Path

from novadocker.virt.docker.errors import StorageError


class FakeFolderStore:
    """Folders on the test's file system; it sits the contract tests of the real one."""

    def __init__(self) -> None:
        self.sizes: dict[Path, int] = {}
        self.full = False

    def ensure(self, place: Path, *, size: int, owner: int) -> None:
        if self.full or not place.parent.parent.parent.is_dir():
            raise StorageError("The storage refused an ephemeral disk.", facts="No space left on device")
        place.mkdir(parents=True, exist_ok=True)
        self.sizes[place] = size

    def remove(self, place: Path) -> None:
        shutil.rmtree(place, ignore_errors=True)
        self.sizes.pop(place, None)
        if place.parent.is_dir() and not any(place.parent.iterdir()):
            place.parent.rmdir()
