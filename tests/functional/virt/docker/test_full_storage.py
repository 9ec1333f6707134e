# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""dockerd's storage as a whole is full: who wants more is told so, the others go on, nothing is broken."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.fakes import docker_archive
from tests.functional.virt.docker import daemons

from novadocker.virt.docker import archive, names, spec
from novadocker.virt.docker.engine import DockerEngine
from novadocker.virt.docker.errors import EngineError


@pytest.fixture
def engine() -> Iterator[DockerEngine]:
    daemons.require("dockerd", "busybox", "mkfs.btrfs")
    if "btrfs" not in Path("/proc/filesystems").read_text():
        pytest.skip("machine cannot: mount btrfs")
    with daemons.network_namespace(), daemons.dockerd(storage="btrfs") as daemon:
        made = DockerEngine(url=daemon.url, timeout=60)
        made.place = daemon.place  # type: ignore[attr-defined]
        yield made


def _image(engine: DockerEngine, name: str) -> str:
    place = engine.place / "image"  # type: ignore[attr-defined]
    place.write_bytes(docker_archive.busybox(["sleep", "1000"]))
    found = archive.inspect(place, architecture="amd64", disk_limit=1 << 30)
    engine.load(archive.rewritten(found, tag=names.image_tag(name)))
    return names.image_tag(name)


def _container(engine: DockerEngine, name: str, image: str, script: str) -> str:
    return engine.create(
        spec.ContainerSpec(
            name=name, image=image, labels={}, network="none", memory=128 << 20, pids=50, disk=4 << 30,
            command=("sh", "-c", script),
        )
    )  # fmt: skip


def test_a_full_storage_stops_who_writes_and_nobody_else(engine: DockerEngine) -> None:
    image = _image(engine, "small")
    _container(engine, "other", image, "while :; do sleep 1; done")
    _container(
        engine,
        "greedy",
        image,
        "for size in 5 2 1 1; do fallocate -l ${size}00000000 /$RANDOM; done; dd if=/dev/zero of=/big bs=1M",
    )
    for name in ("other", "greedy"):
        engine.start(name)
    storage = engine.place / "data"  # type: ignore[attr-defined]
    # What it says of it may be lost: its output is kept on the same storage.
    assert engine.wait("greedy", timeout=90) == 1
    free = os.statvfs(storage)
    assert free.f_bavail * free.f_frsize < 64 << 20
    # The others' processes go on, and are asked as before.
    assert engine.inspect("other").status == "running"
    # A new server, its image here or not, ends with a word that says why; or there was just room for it.
    try:
        _container(engine, "late", image, "dd if=/dev/zero of=/x bs=1M count=8 && sleep 1000")
        engine.start("late")
        code = engine.wait("late", timeout=10)
        assert code
    except EngineError as error:
        assert "no space left" in str(error).lower(), error
    # Its removal needs no room, and all is as before as soon as btrfs has done what it does behind it, within
    # half a minute unless it is asked to.
    for name in ("greedy", "late"):
        engine.remove(name)
    subprocess.run(["btrfs", "filesystem", "sync", str(storage)], check=True, capture_output=True)
    subprocess.run(["btrfs", "subvolume", "sync", str(storage)], check=True, capture_output=True, timeout=60)
    _container(engine, "next", image, "dd if=/dev/zero of=/x bs=1M count=64 && sleep 1000")
    engine.start("next")
    assert engine.wait("next", timeout=5) is None
    scrubbed = subprocess.run(
        ["btrfs", "scrub", "start", "-B", str(storage)], check=False, capture_output=True, text=True
    )
    assert scrubbed.returncode == 0, scrubbed.stdout + scrubbed.stderr
    assert "no errors found" in scrubbed.stdout
    assert " rw," in next(
        line for line in Path("/proc/self/mounts").read_text().splitlines() if f" {storage} " in line
    )
    for name in ("other", "next"):
        engine.remove(name)
