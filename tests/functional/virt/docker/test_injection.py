# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""Files put into a container whose image would like to have them elsewhere."""

import tempfile
from pathlib import Path

import pytest
from tests.fakes import docker_archive
from tests.functional.virt.docker import daemons

from novadocker.virt.docker import injection, spec
from novadocker.virt.docker.engine import DockerEngine
from novadocker.virt.docker.errors import EngineError
from novadocker.virt.docker.facts import File

PAGE = File(content=b"a page", mode=0o644, uid=0, gid=0)


@pytest.fixture
def engine():
    daemons.require("dockerd", "busybox")
    with daemons.dockerd() as daemon:
        yield DockerEngine(url=daemon.url, timeout=30)


@pytest.mark.parametrize("running", [False, True])
def test_links_lead_nowhere_outside(engine, running: bool) -> None:
    outside = Path(tempfile.mkdtemp(prefix="ndk-outside-"))
    outside.chmod(0o777)
    links = docker_archive.tar(
        {
            "pages": "/www",
            "absolute": str(outside),
            "relative": "../" * 15 + str(outside).lstrip("/"),
            "file": f"/../../../../..{outside}/file",
        }
    )
    layers = [docker_archive.busybox_layer(), links]
    settings = docker_archive.config(layers, command=["sleep", "1000"])
    engine.load([docker_archive.save(layers, configuration=settings, tags=["links:1"])])
    engine.create(
        spec.ContainerSpec(
            name="links", image="links:1", labels={}, network="none", memory=64 << 20, pids=100
        )
    )
    if running:
        engine.start("links")
    engine.put("links", injection.packed([("/pages/new.html", PAGE)]))
    assert engine.read("links", "/www/new.html", limit=100) == PAGE
    for path in ("/absolute/x", "/relative/x"):
        with pytest.raises(EngineError):  # within the container there is no such folder
            engine.put("links", injection.packed([(path, PAGE)]))
    engine.put("links", injection.packed([("/file", PAGE)]))  # takes the place of the link itself
    assert engine.read("links", "/file", limit=100) == PAGE
    assert list(outside.iterdir()) == []
    outside.rmdir()
