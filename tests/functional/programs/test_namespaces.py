# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""Netlink sockets in other namespaces, opened without a child."""

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest
from tests.functional.virt.docker.daemons import require

pytestmark = pytest.mark.functional

NAME = f"ndk-ct-{os.getpid()}"
THERE = "lo ndk-peer ndk-there"
# A namespace that is there, and one that pyroute2 makes.
PROGRAM = """
import os, sys, threading
from pyroute2 import NetNS, netns

def forked():
    raise RuntimeError("it made a child")

here = os.readlink("/proc/self/ns/net")
there, made = sys.argv[1:3]
with NetNS(there) as ip:
    print(*sorted(link.get_attr("IFLA_IFNAME") for link in ip.get_links()))
theirs, os.fork = os.fork, forked
with NetNS(there) as ip:
    print(*sorted(link.get_attr("IFLA_IFNAME") for link in ip.get_links()))
os.fork = theirs
with NetNS(made) as ip:
    print(*sorted(link.get_attr("IFLA_IFNAME") for link in ip.get_links()))
netns.remove(made)
try:
    NetNS(made, flags=0)
except OSError as error:
    print(type(error).__name__)
assert os.readlink("/proc/thread-self/ns/net") == here
"""


@pytest.fixture
def namespace() -> Iterator[str]:
    require("ip")
    subprocess.run(["ip", "netns", "add", NAME], check=True)
    try:
        subprocess.run(
            ["ip", "-n", NAME, "link", "add", "ndk-there", "type", "veth", "peer", "ndk-peer"], check=True
        )
        yield NAME
    finally:
        for each in (NAME, f"{NAME}-made"):
            subprocess.run(["ip", "netns", "delete", each], check=False, stderr=subprocess.DEVNULL)


def test_a_socket_in_a_namespace_takes_no_child(namespace, tmp_path):
    program = tmp_path / "openstack-program"
    program.write_text(PROGRAM)
    command = [sys.executable, "-m", "novadocker.programs.single", program, namespace, f"{namespace}-made"]
    said = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
    assert said.stdout.splitlines() == [THERE, THERE, "lo", "FileNotFoundError"], said.stderr
    assert said.returncode == 0, said.stderr
