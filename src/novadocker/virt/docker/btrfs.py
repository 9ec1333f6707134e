# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""Folders that hold no more than their size: btrfs subvolumes with a quota, by btrfs' own program."""

import os
from collections.abc import Callable
from pathlib import Path

from novadocker import run
from novadocker.virt.docker import privsep
from novadocker.virt.docker.errors import StorageError


class Subvolumes:
    """The btrfs file system that dockerd keeps its containers on."""

    def ensure(self, place: Path, *, size: int, owner: int) -> None:
        """Make a folder that holds `size` bytes, owned by a user; one that is there gets that size.

        :raises: StorageError
        """
        _translated(_ensure, str(place), size, owner)

    def remove(self, place: Path) -> None:
        """Remove a folder of ours with all that is in it; one that is gone already is fine.

        :raises: StorageError
        """
        _translated(_remove, str(place))


@privsep.privileged
def _ensure(place: str, size: int, owner: int) -> str:
    path = Path(place)
    try:
        # Root of a container must be able to pass through to what Docker mounts for it.
        for folder in (path.parent.parent, path.parent):
            folder.mkdir(exist_ok=True)
            folder.chmod(0o711)
        run.run(["btrfs", "quota", "enable", path.parent])
        if not path.exists():
            run.run(["btrfs", "subvolume", "create", path])
            os.chown(path, owner, owner)
        run.run(["btrfs", "qgroup", "limit", str(size), path])
    except (run.CommandFailed, OSError) as error:
        return str(error)
    return ""


@privsep.privileged
def _remove(place: str) -> str:
    path = Path(place)
    try:
        if path.exists():
            run.run(["btrfs", "subvolume", "delete", path])
        if path.parent.is_dir() and not any(path.parent.iterdir()):
            path.parent.rmdir()
    except (run.CommandFailed, OSError) as error:
        return str(error)
    return ""


def _translated(function: Callable[..., str], *arguments: str | int) -> None:
    # Errors as text: only plain values come back from a process of privsep's.
    if said := function(*arguments):
        raise StorageError("The host's storage refused an ephemeral disk.", facts=said)
