# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""The clouds of this machine that are up: they share its forwarding, folders, ports, addresses and capacity.

Each is a link, of its name, to its root. What one of them put into the machine and the other needs too, goes
with the last.
"""

import fcntl
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from novadocker.errors import NovaDockerError
from novadocker.host import cgroups, state
from novadocker.host.capacity import Split
from novadocker.host.config import HostConfig
from novadocker.host.state import Layout, Memory

# A reboot takes them away, as it does what they stand for.
PLACE = Path("/run/nova-docker.clouds")


@dataclass(frozen=True, kw_only=True)
class Other:
    """Another cloud of this machine, and what it remembers."""

    name: str
    root: Path
    memory: Memory

    @property
    def split(self) -> Split:
        """What it has promised to its servers."""
        return Split.from_dict(self.memory.capacity)


def others(name: str) -> list[Other]:
    """The clouds that are up but for `name`; one whose memory is gone or damaged does not count."""
    found = []
    for link in sorted(PLACE.iterdir()) if PLACE.is_dir() else []:
        if link.name == name or not link.is_symlink():
            continue
        root = link.readlink()
        try:
            memory = state.recall(Layout(root=root, run=Path()))
        except NovaDockerError:
            continue
        if memory.capacity:
            found.append(Other(name=link.name, root=root, memory=memory))
    return found


@contextmanager
def alone() -> Iterator[None]:
    """Hold the machine while a cloud decides what it takes of it, so that no two decide alike."""
    while True:
        PLACE.mkdir(exist_ok=True)
        handle = os.open(PLACE, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            # The last cloud's end took the folder away: what we hold is no longer the one in place.
            if not PLACE.exists() or os.fstat(handle).st_ino != PLACE.stat().st_ino:
                continue
            try:
                yield
            finally:
                if not any(PLACE.iterdir()):
                    PLACE.rmdir()
            return
        finally:
            os.close(handle)


def enter(config: HostConfig) -> None:
    """Count the cloud among those that are up.

    :raises NovaDockerError: if there is one of that name elsewhere: control group and rules bear the name.
    """
    link = PLACE / config.name
    if link.is_symlink():
        root = link.readlink()
        if root == config.root:
            return
        if Layout(root=root, run=Path()).memory_file.exists():
            raise NovaDockerError(
                f"There is a cloud {config.name} already, under another root.",
                facts=f"{root}, not {config.root}",
                hint=f"Give --root {root}, or this one another --name.",
            )
        link.unlink()
    link.symlink_to(config.root)


def leave(config: HostConfig) -> None:
    """Count the cloud no longer."""
    if _is_known(config):
        (PLACE / config.name).unlink()


def refuse_namesake(config: HostConfig, mounted: cgroups.Hierarchies, *, groups: Sequence[str]) -> None:
    """Refuse a name whose control group is another program's: `up` and `down` end what is in it.

    :raises NovaDockerError: if processes are in it, and no folder of the cloud tells that they are its.
    """
    layout = Layout.of(config)
    if layout.memory_file.exists() or layout.started.exists() or _is_known(config):
        return
    places = [mount / group for mount in mounted.mounts for group in groups]
    held = {group: cgroups.members(group) - {os.getpid()} for group in places}
    for group, pids in held.items():
        if pids:
            raise NovaDockerError(
                f"The control group {group} is not of a cloud {config.name}.",
                facts=f"{len(pids)} processes are in it, as {min(pids)}, and {config.root} is no cloud's",
                hint="Give the cloud another --name.",
            )


def _is_known(config: HostConfig) -> bool:
    link = PLACE / config.name
    return link.is_symlink() and link.readlink() == config.root
