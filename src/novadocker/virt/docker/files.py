# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""A server's files on the host: what is mounted into its container."""

from collections.abc import Iterable
from pathlib import Path

from novadocker.virt.docker import vif
from novadocker.virt.docker.vif import VifPlan

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


def write_network(place: Path, plans: Iterable[VifPlan], *, hostname: str) -> None:
    """Write who answers names; in place, because a mount holds on to the file and not to its name."""
    plans = list(plans)
    (place / "resolv.conf").write_text(vif.resolv_conf(plans))
    (place / "hosts").write_text(vif.hosts(plans, hostname=hostname))
    (place / "hostname").write_text(f"{hostname}\n")
