# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""A second cloud under another name beside the first: both work, and neither notices the end of the other."""

import contextlib
import socket
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from tests.e2e.cloud import KINDS, LEFTOVERS, WORDS, Cloud

NAME = "second"
# The first cloud's programs start and end workers all the time.
_WORK = r": (process|namespace) "


@pytest.fixture(scope="module")
def second(own_first, servers, tmp_path_factory):
    """The second cloud, and what the machine was like before: with the first one's servers on it."""
    if psutil.virtual_memory().available < 4 << 30:
        pytest.skip("a second control plane takes 3 GB of memory, and a server's share")
    before = tmp_path_factory.mktemp("second") / "machine.json"
    found = Cloud(
        name=NAME, root=Path("/var/lib") / NAME, run_dir=Path("/run") / NAME, snapshot=before, ours=True
    )
    subprocess.run([sys.executable, LEFTOVERS, "snapshot", before, *found.folders()], check=True)
    try:
        said = found.control("up").stderr
        yield found, said
    finally:
        found.control("down", check=False)


@pytest.fixture(scope="module")
def own_first(cloud):
    if not cloud.ours:
        pytest.skip("the cloud of NOVA_DOCKER_CLOUD is not ours to try this beside")
    return cloud


def test_up_tells_what_it_moved_and_what_is_promised_twice(second):
    _, said = second
    assert "keystone moves from port 5000 to " in said
    assert "Promised to servers by more than one cloud: MEMORY_MB" in said


def test_both_are_whole(cloud, second):
    for each in (cloud, second[0]):
        status = each.status()
        assert status["healthy"], status["problems"]
    assert "nothing to do" in cloud.control("up").stderr


def test_nothing_is_common_to_both(cloud, second):
    other, _ = second
    networks = [each.openstack("subnet", "show", "public-subnet")["cidr"] for each in (cloud, other)]
    assert len(set(networks)) == 2
    names = [
        {row["Hypervisor Hostname"] for row in each.openstack("hypervisor", "list")}
        for each in (cloud, other)
    ]
    assert not names[0] & names[1]
    assert names[1] == {f"{cloud.host}-{NAME}", f"{cloud.host}-{NAME}-docker"}
    links = {name for _, name in socket.if_nameindex()}
    assert {"ndk-int", "ndk-ex", "second-int", "second-ex"} <= links
    assert "ovs-netdev" not in links, "it would be in the way of every other switch"


def test_the_story_is_told_on_the_second_and_its_end_is_not_noticed(cloud, second, servers):
    """Servers of both kinds, from the demo's images to their pages, beside those of the first."""
    other, _ = second
    told = other.story()
    for kind in KINDS:
        assert WORDS[kind] in told
    for first in servers.values():
        assert WORDS[first.kind] in first.page()

    pids = cloud.pids()
    other.control("down")
    other.forget_connections()
    assert not other.leftovers("--ignore", _WORK)
    assert not [process for process in psutil.process_iter() if _is_of(process, other)]
    assert cloud.pids() == pids
    assert cloud.status()["healthy"], cloud.status()["problems"]
    for first in servers.values():
        assert WORDS[first.kind] in first.page()
    assert "nothing to do" in cloud.control("up").stderr


def _is_of(process: psutil.Process, cloud: Cloud) -> bool:
    try:
        words = " ".join(process.cmdline())
        with contextlib.suppress(psutil.AccessDenied):  # where PID 1 shows it to nobody
            words = f"{process.cwd()} {words}"
    except (psutil.NoSuchProcess, psutil.ZombieProcess):
        return False
    return str(cloud.root) in words or str(cloud.run_dir) in words
