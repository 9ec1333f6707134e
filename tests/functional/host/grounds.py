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

import pytest
from tests.fakes.supervisor import FakeSupervisor
from tests.functional.virt.docker.daemons import network_namespace, require

from novadocker import poll
from novadocker.host import apply, cgroups, mounts, probes, render
from novadocker.host.services import registry
from novadocker.host.services.model import Cloud
from novadocker.host.supervise.door import Supervision

__all__ = ["control_group", "mariadb", "network_namespace", "require", "short_folder", "write_files"]


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


def write_files(cloud: Cloud) -> bool:
    """Write the files of a cloud whose control groups are plain folders; say whether any changed."""
    services, groups = registry.services(cloud), cloud.layout.root.parent / "group"
    supervision = Supervision(
        supervisor=FakeSupervisor(),
        settings=(render.supervisor_file(cloud, services),),
        scripts={
            name: render.start_file(cloud, service, group=str(groups / name))
            for name, service in services.items()
        },
        groups={name: groups / name for name in services},
    )
    applier = apply.Applier(cloud, services=services, supervision=supervision)
    return next(step for step in applier.steps() if step.name == "files").act()


@contextmanager
def mariadb(cloud: Cloud) -> Iterator[None]:
    """The cloud's MariaDB, started by its own script, until the block is left."""
    service = registry.services(cloud)["mariadb"]
    log = cloud.layout.logs / "mariadb.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            ["/bin/sh", str(cloud.layout.etc / "start" / "mariadb")], stdout=output, stderr=output, cwd="/"
        )
    try:
        poll.until(
            lambda: probes.missing(service.ready) if process.poll() is None else pytest.fail(log.read_text()),
            why="MariaDB answers",
            seconds=60,
        )
        yield
    finally:
        process.terminate()
        process.wait(30)
