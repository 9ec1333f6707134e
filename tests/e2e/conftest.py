# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""One cloud for the whole tier: look at the machine, `up`, the tests in the order of their files, `down`.

Those that kill and wipe come last. With NOVA_DOCKER_CLOUD set to the name
of a cloud that is up, the tests use that one; those that break it then run only if NOVA_DOCKER_CLOUD_IS_OURS
is set too, and those that take it away do not run. NOVA_DOCKER_BACKEND names the cloud's network backend,
which chooses the tests (see `backends`).
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.e2e import backends, neighbours
from tests.e2e.cloud import CONTAINER, KINDS, LEFTOVERS, MACHINE, Cloud
from tests.fakes import docker_archive

from novadocker.host.images.build import demo_images

LATE = ("test_crash", "test_reboot", "test_up_again", "test_warm")


def pytest_collection_modifyitems(config, items):
    ours = [item for item in items if item.path.parent == Path(__file__).parent]
    for item in ours:
        item.add_marker(pytest.mark.timeout(900))  # whichever is the first brings the cloud up
    _, others = backends.divide(ours)
    config.hook.pytest_deselected(items=others)
    items[:] = [item for item in items if item not in others]
    # Whatever these break is not for others to stumble over; what takes the cloud away comes after them.
    items.sort(key=lambda item: LATE.index(item.path.stem) if item.path.stem in LATE else -1)


def pytest_terminal_summary(terminalreporter):
    """Why a test was run a second time: what failed the second time may be another thing, or nothing."""
    for report in terminalreporter.getreports("rerun"):
        terminalreporter.section(f"{report.nodeid}: run again", sep="-")
        terminalreporter.write_line(report.longreprtext[-2000:])


@pytest.fixture(scope="session")
def cloud(tmp_path_factory):
    name = os.environ.get("NOVA_DOCKER_CLOUD", "")
    known = name or "nova-docker"
    found = Cloud(
        name=known,
        root=Path("/var/lib") / known,
        run_dir=Path("/run") / known,
        snapshot=None if name else tmp_path_factory.mktemp("before") / "machine.json",
        ours=not name or "NOVA_DOCKER_CLOUD_IS_OURS" in os.environ,
    )
    if name:
        yield found
        return
    if found.root.exists():
        pytest.fail(
            f"{found.root} exists: there is a cloud already; run `nova-docker down`, or set NOVA_DOCKER_CLOUD"
        )
    snapshot = [sys.executable, LEFTOVERS, "snapshot", found.snapshot, *found.folders()]
    with neighbours.all_of_them() as look:
        found.neighbours, found.neighbours_before = look, look()
        subprocess.run(snapshot, check=True)
        chosen = backends.chosen(tmp_path_factory.mktemp("chosen"))
        try:
            # From then on it is remembered.
            found.control("--config", str(chosen), "up")
            yield found
        finally:
            found.control("down", check=False)


@pytest.fixture
def own_cloud(cloud):
    """The cloud, for tests that break something in it."""
    if not cloud.ours:
        pytest.skip("the cloud of NOVA_DOCKER_CLOUD is not ours to break")
    return cloud


@pytest.fixture
def passing_cloud(cloud):
    """The cloud, for tests that take it away."""
    if cloud.snapshot is None:
        pytest.skip("the machine was not looked at before the cloud of NOVA_DOCKER_CLOUD came up")
    return cloud


@pytest.fixture(scope="session")
def demo(cloud):
    """The demo images as files."""
    return demo_images(cloud.root / "images")


@pytest.fixture(scope="session")
def images(cloud, demo):
    """The demo images in Glance, by kind."""
    found = {
        CONTAINER: cloud.image("e2e-container", demo.container.read_bytes(), container_format="docker"),
        MACHINE: cloud.image("e2e-machine", demo.machine.read_bytes(), container_format="bare"),
    }
    yield found
    if cloud.root.exists():
        for image in found.values():
            cloud.connection.image.delete_image(image)


@pytest.fixture(scope="session")
def root_image(cloud):
    """An image whose processes are root of their container: the demo's are not, and so have no capability."""
    archive = docker_archive.busybox(["sleep", "1000000"])
    found = cloud.image("e2e-root", archive, container_format="docker")
    yield found
    if cloud.root.exists():
        cloud.connection.image.delete_image(found)


@pytest.fixture(scope="session")
def servers(cloud, images):
    """A container and a VM with floating IPs, by kind; they stay for the whole session."""
    asked = {kind: cloud.create(f"e2e-{kind}", images[kind], key_name="nova-docker") for kind in KINDS}
    settled = {kind: cloud.settled(server) for kind, server in asked.items()}
    try:
        for server in settled.values():
            assert server.status == "ACTIVE", server.fault
        yield {kind: cloud.reachable(server, kind) for kind, server in settled.items()}
    finally:
        for server in settled.values():
            if cloud.root.exists() and cloud.connection.compute.find_server(server.id, ignore_missing=True):
                cloud.remove(server.id)


@pytest.fixture(params=KINDS)
def kind(request):
    return request.param
