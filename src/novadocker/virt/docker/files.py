# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""A server's files on the host: what is mounted into its container."""

import os
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from novadocker.virt.docker import privsep

_MOUNTED = ("resolv.conf", "hosts", "hostname")


def prepare(place: Path) -> None:
    """Make a server's directory and the files Docker mounts from it, which must be there before it does.

    They are read by root of the container's user namespace, who is nobody here; there is nothing secret in
    them.
    """
    place.mkdir(parents=True, exist_ok=True)
    place.chmod(0o755)
    for name in _MOUNTED:
        file = place / name
        file.touch(exist_ok=True)
        file.chmod(0o644)


def write_names(place: Path, *, hostname: str, hosts: str, resolv_conf: str) -> None:
    """Write what a server knows of names; in place: a mount holds on to the file and not to its name."""
    (place / "resolv.conf").write_text(resolv_conf)
    (place / "hosts").write_text(hosts)
    (place / "hostname").write_text(f"{hostname}\n")


def make_drive(folder: Path, *, group: int) -> None:
    """Make the folder of a server's config drive.

    User data and passwords lie there: every process in the container may read them, as it may ask the
    metadata service, but on the host only its owner and the `group` that a container's root has, which must
    get through to mount it.
    """
    folder.parent.mkdir(mode=0o700, exist_ok=True)
    if group != folder.parent.stat().st_gid:
        _give(str(folder.parent), group)
    folder.parent.chmod(0o710)
    folder.mkdir(exist_ok=True)
    folder.chmod(0o755)


def write_drive(folder: Path, content: Iterable[tuple[str, bytes]]) -> None:
    """Write a config drive's files, given by their paths below its folder."""
    for name, data in content:
        parent = folder
        for part in PurePosixPath(name).parts[:-1]:
            parent /= part
            parent.mkdir(exist_ok=True)
            parent.chmod(0o755)
        file = folder / name
        file.write_bytes(data)
        file.chmod(0o644)


@privsep.privileged
def _give(path: str, group: int) -> None:
    os.chown(path, -1, group)
