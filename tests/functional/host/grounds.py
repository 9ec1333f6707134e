# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""What the composer's functional tests stand on: folders, groups and namespaces of their own."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.functional.virt.docker.daemons import network_namespace, require

from novadocker.host import cgroups, mounts

__all__ = ["control_group", "network_namespace", "require", "short_folder"]


@contextmanager
def short_folder() -> Iterator[Path]:
    """A folder for any user, short enough for sockets; nothing may stay mounted there."""
    folder = Path(tempfile.mkdtemp(prefix="ndk-ct-", dir="/tmp"))
    folder.chmod(0o755)
    try:
        yield folder
        assert mounts.below(folder) == [] == mounts.loops_on(folder)
    finally:
        mounts.unmount_below(folder)
        mounts.detach_loops(folder)
        shutil.rmtree(folder)


@contextmanager
def control_group() -> Iterator[tuple[cgroups.Hierarchies, str]]:
    """The name of a control group that is in no hierarchy yet; it is ended and removed at the end."""
    mounted = cgroups.hierarchies()
    name = f"ndk-ct-{os.getpid()}"
    try:
        yield mounted, name
    finally:
        cgroups.kill(mounted, name=name)
        cgroups.remove(mounted, name=name)


@contextmanager
def inside(group: Path, *command: str) -> Iterator[subprocess.Popen]:
    """Run a program in a control group, in a session of its own, until the block is left."""
    group.mkdir(parents=True, exist_ok=True)
    enter = ["sh", "-c", 'echo $$ > "$0"/cgroup.procs && exec "$@"', str(group), *command]
    process = subprocess.Popen(enter, start_new_session=True, stdin=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.kill()
        process.wait()
