# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""A server's root disk is as large as its flavor says, where the storage driver can hold it to that."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.fakes import docker_archive
from tests.functional.virt.docker import daemons

from novadocker import oci_runtime
from novadocker.virt.docker import archive, facts, files, names, spec
from novadocker.virt.docker.containers import Containers
from novadocker.virt.docker.engine import DockerEngine
from novadocker.virt.docker.gates import Gates
from novadocker.virt.docker.images import Images
from novadocker.virt.docker.namespaces import Namespaces
from novadocker.virt.docker.pins import KernelNamespaces


@pytest.fixture
def btrfs() -> Iterator[daemons.Dockerd]:
    daemons.require("dockerd", "busybox", "mkfs.btrfs")
    if "btrfs" not in Path("/proc/filesystems").read_text():
        pytest.skip("machine cannot: mount btrfs")
    with daemons.network_namespace(), daemons.dockerd(storage="btrfs") as daemon:
        yield daemon


def test_a_full_disk_is_full(btrfs: daemons.Dockerd, tmp_path: Path) -> None:
    engine = DockerEngine(url=btrfs.url, timeout=30)
    daemon = engine.facts()
    assert facts.disk_limit_supported(daemon, Path("/proc/self/mountinfo").read_text())
    archive = docker_archive.busybox(["sh", "-c", "dd if=/dev/zero of=/big bs=1M count=50; echo code $?"])

    def fetch(context: object, image_id: str, data: Any, *, trusted_certs: object) -> None:
        data.write(archive)

    images = Images(engine=engine, fetch=fetch, facts=lambda: daemon, spool=btrfs.place / "spool")
    image = images.ensure(None, "image", disk_limit=1 << 30)
    server = spec.Server(
        uuid="u",
        name="n",
        host="h",
        hostname="h",
        vcpus=1,
        memory_mb=64,
        swap_mb=0,
        root_gb=1,
    )
    ground = spec.Ground(files=btrfs.place / "files", pids=100, disk_limit=True)
    files.prepare(ground.files)
    containers = Containers(
        engine=engine,
        host="h",
        gates=Gates(None),
        namespaces=Namespaces(None, host="h", store=KernelNamespaces()),
    )
    made = spec.workload(server, image=image, ground=ground)
    assert made.disk == 1 << 30
    # A flavor's smallest disk is a GiB; what holds at 20 MiB holds there.
    containers.make(
        sandbox=spec.sandbox(server, image=images.sandbox(), ground=ground),
        workload=replace(made, disk=20 << 20),
    )
    containers.start("u")
    assert engine.wait(made.name, timeout=30) == 0
    output = engine.logs(names.container(uuid="u", role=names.WORKLOAD), limit=10_000).decode()
    assert "Disk quota exceeded" in output
    assert "code 1" in output
    containers.remove("u")


def test_no_subvolume_is_a_way_around_a_full_disk(btrfs: daemons.Dockerd) -> None:
    engine = DockerEngine(url=btrfs.url, timeout=30)
    assert engine.facts().runtime == oci_runtime.NAME
    script = (
        "import fcntl, os, struct\n"
        "root = os.open('/', os.O_RDONLY)\n"
        "for command, fd in ((0x5000940E, 0), (0x50009401, root)):\n"
        "    try: fcntl.ioctl(root, command, bytearray(struct.pack('q4088s', fd, b'mine')))\n"
        "    except PermissionError: print('refused')\n"
        "source, copy = os.open('/bin/busybox', os.O_RDONLY), os.open('/copy', os.O_RDWR | os.O_CREAT)\n"
        "fcntl.ioctl(copy, 0x40049409, source)\n"
        "print('shared', os.fstat(copy).st_size == os.fstat(source).st_size)\n"
    )
    archived = btrfs.place / "image"
    archived.write_bytes(docker_archive.busybox(["/usr/bin/python3", "-c", script]))
    found = archive.inspect(archived, architecture="amd64", disk_limit=1 << 30)
    engine.load(archive.rewritten(found, tag=names.image_tag("python")))
    engine.create(
        spec.ContainerSpec(
            name="nova-subvolumes",
            image=names.image_tag("python"),
            labels={},
            network="none",
            memory=128 << 20,
            pids=20,
            disk=50 << 20,
            binds={place: place for place in ("/usr", "/lib", "/lib64")},
        )
    )
    engine.start("nova-subvolumes")
    code = engine.wait("nova-subvolumes", timeout=30)
    assert engine.logs("nova-subvolumes", limit=10_000).decode() == "refused\nrefused\nshared True\n"
    assert code == 0
    engine.remove("nova-subvolumes")
