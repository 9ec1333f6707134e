# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""A container entered, administered and rebooted as a VM is: Debian with cloud-init, sshd and sudo."""

import base64
import re
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.e2e.cloud import CONTAINER, until

from novadocker.host import offer

USER_DATA = """#cloud-config
write_files:
  - path: /srv/written
    content: by cloud-init
runcmd:
  - [sh, -c, "id -un >/srv/ran"]
"""
# What the image may weigh, unpacked.
MOST_MB = 200


@dataclass(frozen=True)
class Box:
    """A server one can log in to; `known` keeps its host key, so that another would be refused."""

    id: str
    address: str
    key: Path
    known: Path

    def ssh(self, *words: str, check: bool = True, options: tuple[str, ...] = ()) -> str:
        done = self._ssh(*words, options=options)
        assert not check or done.returncode == 0, f"{words}: {done.stdout}{done.stderr}"
        return (done.stdout + done.stderr if not check else done.stdout).strip()

    def up(self) -> None:
        """Wait until somebody can log in, after cloud-init is through."""
        until(lambda: self._ssh("true").returncode == 0, seconds=120, why=f"ssh to {self.address}")
        self.ssh("cloud-init", "status", "--wait")

    def _ssh(self, *words: str, options: tuple[str, ...] = ()) -> "subprocess.CompletedProcess[str]":
        command = [
            "ssh", "-i", self.key, "-o", "BatchMode=yes", "-o", f"UserKnownHostsFile={self.known}",
            "-o", "StrictHostKeyChecking=accept-new", "-o", "ConnectTimeout=5", "-o", "LogLevel=ERROR",
            *options, f"debian@{self.address}", *words,
        ]  # fmt: skip
        return subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)


@pytest.fixture(scope="module")
def image(cloud):
    """The image, as the composer builds and offers it."""
    if cloud.connection.image.find_image(offer.NAME) is None:
        cloud.control("image", "system", seconds=900)
        assert "was there already" in cloud.control("image", "system", seconds=120).stdout
    return cloud.connection.image.find_image(offer.NAME)


@pytest.fixture(scope="module")
def boxes(cloud, image, tmp_path_factory):
    """Two servers of the image: on the flavor made for it, with a config drive, and on one as any other."""
    known = tmp_path_factory.mktemp("ssh") / "known_hosts"
    data = base64.b64encode(USER_DATA.encode()).decode()
    asked = {
        "system": cloud.create(
            "e2e-system", image, flavor="system", key_name="nova-docker", user_data=data, config_drive=True
        ),
        "default": cloud.create("e2e-plain", image, flavor="m1.small", key_name="nova-docker"),
    }
    try:
        found = {}
        for name, server in asked.items():
            settled = cloud.settled(server, seconds=180)
            assert settled.status == "ACTIVE", settled.fault
            address = cloud.reachable(settled, CONTAINER).address
            found[name] = Box(server.id, address, cloud.root / "data" / "keys" / "nova-docker", known)
        for box in found.values():
            box.up()
        yield found
    finally:
        for server in asked.values():
            cloud.remove(server.id)


def test_the_image_is_small(image):
    assert image.size < MOST_MB << 20


def test_one_logs_in_as_into_a_vm(cloud, boxes):
    box = boxes["system"]
    assert box.ssh("id", "-un") == "debian"
    assert box.ssh("hostname") == "e2e-system"
    assert box.ssh("tty", options=("-tt",)).startswith("/dev/pts/")
    assert box.ssh("sudo", "id", "-u") == "0"
    assert "system container e2e-system: up" in cloud.console(box.id)


def test_cloud_init_did_what_user_data_says(boxes):
    box = boxes["system"]
    assert "DataSourceConfigDrive" in box.ssh("cloud-init", "status", "--long")
    assert box.ssh("cat", "/srv/written", "/srv/ran") == "by cloud-initroot"
    assert "DataSourceOpenStack" in boxes["default"].ssh("cloud-init", "status", "--long")


def test_root_administers_it(boxes):
    box = boxes["system"]
    box.ssh("sudo", "adduser", "--quiet", "--disabled-password", "--gecos", "''", "other")
    assert box.ssh("sudo", "-u", "other", "id", "-un") == "other"
    assert "sshd is running" in box.ssh("sudo", "service", "ssh", "status")
    box.ssh("sudo", "service", "ssh", "restart")
    box.up()


def test_without_its_flavor_sudo_refuses_and_the_rest_works(boxes):
    box = boxes["default"]
    assert box.ssh("id", "-un") == "debian"
    assert 'The "no new privileges" flag is set' in box.ssh("sudo", "-n", "true", check=False)


def test_it_stops_in_order_and_is_the_same_afterwards(cloud, boxes):
    box = boxes["system"]
    box.ssh("echo kept >mine; nohup sleep 1000 >/dev/null 2>&1 &")
    began = time.monotonic()
    cloud.connection.compute.stop_server(box.id)
    cloud.becomes(box.id, "SHUTOFF")
    assert time.monotonic() - began < 30, "killed after the grace"
    said = cloud.console(box.id)
    assert "system container e2e-system: going down" in said
    assert "ended with exit code 0" in said
    cloud.connection.compute.start_server(box.id)
    cloud.becomes(box.id, "ACTIVE")
    box.up()
    assert box.ssh("cat", "mine") == "kept"
    assert not re.search("sleep 1000", box.ssh("ps", "ax"))


def test_a_reboot_and_a_poweroff_from_inside(cloud, boxes):
    box = boxes["system"]
    before = box.ssh("stat", "-c", "%Z", "/run/system.pid")
    box.ssh("sudo", "reboot", check=False)
    until(
        lambda: (
            box.ssh("stat", "-c", "%Z", "/run/system.pid", check=False).isdigit()
            and box.ssh("stat", "-c", "%Z", "/run/system.pid", check=False) != before
        ),
        seconds=90,
        why="rebooted",
    )
    assert cloud.becomes(box.id, "ACTIVE")
    box.up()
    box.ssh("sudo", "poweroff", check=False)
    cloud.becomes(box.id, "SHUTOFF")
