# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""A server's ephemeral disks: folders of their own size on dockerd's storage, mounted at /mnt/ephemeralN.

They lie where the containers' disks do, so that they count as that storage's, and come and go with the
server: a stop, a reboot and a container made anew leave them, a delete and a rebuild take them.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from novadocker.virt.docker import names
from novadocker.virt.docker.doors import FolderStore
from novadocker.virt.docker.errors import StorageError
from novadocker.virt.docker.facts import EngineFacts

_TARGET = "/mnt/ephemeral{}"


class Ephemeral:
    """The ephemeral disks of this host's servers."""

    def __init__(self, *, store: FolderStore, facts: Callable[[], EngineFacts]) -> None:
        self._store = store
        self._facts = facts

    def make(self, uuid: str, sizes_gb: Sequence[int] | None) -> Mapping[str, str]:
        """Make those of a server's disks that are missing; return where each is mounted, by its place here.

        :param sizes_gb: of the first, the second …; None leaves what is there as it is.
        :raises: StorageError where the storage cannot hold a folder to a size
        """
        if sizes_gb:
            found = self._facts()
            if found.storage_driver != "btrfs":
                raise StorageError(
                    "This host has no ephemeral disks: its storage cannot hold one to its size.",
                    facts=f"That takes dockerd on btrfs; it is on {found.storage_driver}.",
                )
            for number, size in enumerate(sizes_gb):
                self._store.ensure(
                    self._place(uuid) / f"ephemeral{number}", size=size << 30, owner=found.root_owner[0]
                )
        return {
            str(place): _TARGET.format(place.name.removeprefix("ephemeral")) for place in self.places(uuid)
        }

    def places(self, uuid: str) -> list[Path]:
        """Return the folders of a server's disks, in order."""
        place = self._place(uuid)
        return sorted(place.glob("ephemeral*")) if place.is_dir() else []

    def remove(self, uuid: str) -> None:
        """Remove a server's disks; those that are gone already are fine."""
        for place in self.places(uuid):
            self._store.remove(place)

    def _place(self, uuid: str) -> Path:
        return Path(self._facts().root_dir) / names.EPHEMERAL_FOLDER / uuid


def sizes_gb(block_device_info: Mapping[str, Any] | None) -> list[int]:
    """Return the sizes of a server's ephemeral disks, in GiB, from what Nova says of its devices."""
    return [int(one["size"]) for one in (block_device_info or {}).get("ephemerals") or () if one["size"]]
