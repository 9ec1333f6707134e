# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""A server's files on the host: what is mounted into its container."""

from pathlib import Path

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
