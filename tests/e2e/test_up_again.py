# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""`up` again: nothing changes where all is well, and all is well afterwards where something was not."""

import os
import signal
import subprocess
import time
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from tests.e2e import neighbours
from tests.e2e.backends import BOTH
from tests.e2e.cloud import BIN, CONTAINER, KINDS, WORDS

from novadocker.host import cloud as described
from novadocker.host.config import HostConfig
from novadocker.host.images.build import demo_images


@BOTH
def test_up_a_second_time_changes_nothing(cloud, servers):
    before = cloud.pids()
    configured = _configuration(cloud)
    began = time.monotonic()
    said = cloud.control("up").stderr
    print(f"the second up took {time.monotonic() - began:.1f} s")
    assert "nothing to do" in said
    assert cloud.pids() == before
    assert _configuration(cloud) == configured


@BOTH
def test_status_is_well(cloud):
    assert cloud.control("status").returncode == 0
    assert cloud.status()["healthy"]


def test_whatever_is_killed_comes_back(own_cloud, servers):
    """Every service in turn, by SIGKILL; `up` then says that all is well, and it is."""
    cloud = own_cloud
    wrong = {}
    for name, pid in cloud.pids().items():
        os.kill(pid, signal.SIGKILL)
        said = cloud.control("up", check=False)
        after = cloud.status()
        pids = {service["name"]: service["pid"] for service in after["services"]}
        if said.returncode or after["problems"] or pids[name] in (0, pid):
            wrong[name] = (said.stderr, after["problems"], pid, pids[name])
    assert not wrong
    for server in servers.values():
        assert WORDS[server.kind] in server.page(), "servers outlive the services"


def test_the_supervisor_killed_comes_back(own_cloud, servers):
    cloud = own_cloud
    pid = int((cloud.run_dir / "supervisor.pid").read_text())
    os.kill(pid, signal.SIGKILL)
    cloud.control("up")
    assert cloud.status()["problems"] == []
    for server in servers.values():
        assert WORDS[server.kind] in server.page()


def test_a_new_server_works_after_all_that(cloud, images, kind):
    _a_server_works(cloud, images[kind], kind, name=f"e2e-afterwards-{kind}")


@BOTH
def test_data_kept_by_down_brings_the_servers_back(passing_cloud, servers, images):
    """To other ports, since somebody listens on each of theirs by now; from then on they are the cloud's."""
    cloud = passing_cloud
    cloud.control("up")  # for who runs this a second time; it changes nothing otherwise
    pages = {kind: servers[kind].page() for kind in KINDS}
    cloud.control("down", "--keep-data")
    assert not cloud.leftovers("--allow", str(cloud.root), "--allow", "/etc")
    cloud.forget_connections()
    before = _ports(cloud)
    with neighbours.programs(*before.values()) as look:
        assert set(look().values()) == {neighbours.SAYS}
        said = cloud.control("up").stderr
        assert set(look().values()) == {neighbours.SAYS}
        after = _ports(cloud)
        for name, port in before.items():
            assert f"{name} moves from port {port} to {after[name]}: another program has it." in said
        assert not set(before.values()) & set(after.values())
        catalogue = cloud.connection.identity.endpoints()
        assert {urlsplit(each.url).port for each in catalogue} <= set(after.values())
        _a_server_works(cloud, images[CONTAINER], CONTAINER, name="e2e-moved")
    assert "nothing to do" in cloud.control("up").stderr
    for kind in KINDS:
        found = cloud.becomes(servers[kind].id, "ACTIVE", seconds=120)
        assert found.name == servers[kind].name
        assert WORDS[kind] in pages[kind]
        assert WORDS[kind] in servers[kind].page(seconds=90)


@BOTH
def test_down_leaves_nothing_and_twice_is_harmless(passing_cloud, servers):
    cloud = passing_cloud
    began = time.monotonic()
    cloud.control("down")
    print(f"down took {time.monotonic() - began:.1f} s")
    cloud.forget_connections()
    assert not cloud.leftovers()
    cloud.control("down")
    assert not cloud.leftovers()


@BOTH
def test_a_user_s_own_programs_are_as_they_were(passing_cloud):
    """They ran all along, each with something in it, in the places a user has them."""
    assert passing_cloud.neighbours_before
    assert passing_cloud.neighbours() == passing_cloud.neighbours_before


def test_up_killed_in_the_middle_is_continued(passing_cloud):
    """Thrice killed, each time a little later; the cloud is a whole one in the end.

    `test_warm` goes on with it, and sees that its `down` leaves nothing.
    """
    cloud = passing_cloud
    cloud.control("down")
    for seconds in (2, 6, 10):
        began = subprocess.Popen(
            [BIN / "nova-docker", "--name", cloud.name, *cloud.folders(), "up"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        with pytest.raises(subprocess.TimeoutExpired):
            began.wait(seconds)
        began.kill()
        began.wait()
    cloud.forget_connections()
    cloud.control("up")
    assert cloud.status()["problems"] == []
    demo = demo_images(cloud.root / "images")  # these went with `down`, too
    image = cloud.image("e2e-again", demo.container.read_bytes(), container_format="docker")
    _a_server_works(cloud, image, CONTAINER, name="e2e-again")


def _a_server_works(cloud, image, kind, *, name) -> None:
    with cloud.server(name, image) as server:
        settled = cloud.settled(server)
        assert settled.status == "ACTIVE", settled.fault
        assert WORDS[kind] in cloud.reachable(server, kind).page()


def _ports(cloud) -> dict[str, int]:
    """What the cloud's programs listen on, or would, by what it remembers."""
    known = described.recall(HostConfig(name=cloud.name, root=cloud.root, run_dir=cloud.run_dir))
    assert known
    return known.config.ports


def _configuration(cloud) -> dict[str, tuple[int, bytes]]:
    files = [path for path in Path(cloud.root / "etc").rglob("*") if path.is_file()]
    return {str(path): (path.stat().st_mtime_ns, path.read_bytes()) for path in files}
