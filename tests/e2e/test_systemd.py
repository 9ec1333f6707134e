# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""A cloud on a machine whose PID 1 is systemd: units, a service killed, a daemon restarted, a reboot, `down`.

The machine is one of namespaces (`systemd_machine.py`) with a real systemd; the tests are steps of one story,
in the order they stand in.
"""

import json
import re
import sys
import time
from pathlib import Path

import pytest
from tests.e2e import systemd_machine
from tests.e2e.cloud import BIN, REPOSITORY, until

CONTROL = BIN / "nova-docker"
RUNNING_AGAIN = 15  # seconds, of a service that was killed
_GET = "import sys, urllib.request as r; print(r.urlopen(sys.argv[1], timeout=3).read().decode())"
_LOOK = """
import json, openstack
cloud = openstack.connect(cloud="nova-docker")
print(json.dumps([
    {"name": one.name, "status": one.status, "power": one.power_state,
     "address": next((a["addr"] for net in one.addresses.values() for a in net
                      if a["OS-EXT-IPS:type"] == "floating"), "")}
    for one in cloud.compute.servers(all_projects=True)
]))
"""


@pytest.fixture(scope="module")
def box():
    with systemd_machine.machine() as made:
        yield made


@pytest.fixture(scope="module")
def host(box, demo):
    """The machine with a cloud that `up` brought up, and both servers of the article."""
    box.as_unit(CONTROL, "up", seconds=600)
    # It reaches nobody from whom to fetch packages.
    box.put(demo.container.parent, "/var/lib/nova-docker/images")
    path = f"PATH={BIN}:/usr/sbin:/usr/bin:/sbin:/bin"
    box.as_unit("env", path, sys.executable, REPOSITORY / "demo" / "story.py", seconds=400)
    return box


def _servers(box):
    return json.loads(box.as_unit(sys.executable, "-c", _LOOK).stdout)


def _well(box):
    return json.loads(box.as_unit(CONTROL, "status", "--json", check=False).stdout)["healthy"]


def _page(box, address):
    return box.run(sys.executable, "-c", _GET, f"http://{address}/", check=False).stdout


def _answer(box, servers, *, seconds):
    for one in servers:
        until(lambda one=one: _page(box, one["address"]), seconds=seconds, why=f"the page of {one['name']}")


def _show(box, unit, name):
    return box.says("systemctl", "show", f"--property={name}", "--value", unit)


def _units(box):
    said = box.says("systemctl", "list-units", "--all", "--plain", "--no-legend", "--full")
    found = {}
    for line in said.splitlines():
        unit, _, active, sub = line.split()[:4]
        if re.match(r"openstack-|nova", unit):
            found[unit] = (active, sub)
    return found


def test_every_service_is_a_unit_of_its_and_in_one_slice(host):
    units = _units(host)
    services = {unit: state for unit, state in units.items() if unit.startswith("openstack-")}
    assert len(services) >= 20
    assert set(services.values()) == {("active", "running")}
    assert units["nova-docker.target"][0] == "active"
    for unit in services:
        assert _show(host, unit, "Slice") == "nova-docker.slice", unit
    # The program itself is what systemd knows as its process, in the group systemd made.
    pid = _show(host, "openstack-nova-docker.service", "MainPID")
    words = Path(f"/proc/{host.pid}/root/proc/{pid}/cmdline").read_text()
    assert "nova-compute" in words
    assert host.says("systemctl", "is-enabled", "nova-docker-boot.service") == "enabled"
    assert json.loads(host.as_unit(CONTROL, "status", "--json", check=False).stdout)["problems"] == []


def test_the_units_are_as_systemd_wants_them(host):
    names = [unit for unit in _units(host) if unit != "nova.slice"]
    places = [f"/etc/systemd/system/{name}" for name in names]
    done = host.run("systemd-analyze", "verify", "--man=no", *places)
    assert (done.stdout + done.stderr).strip() == ""


def test_what_a_service_writes_is_in_the_journal_and_in_its_file(host):
    said = host.says("journalctl", "--no-pager", "--output=cat", "--unit=openstack-nova-docker")
    shown = host.run(CONTROL, "logs", "nova-docker", "--lines", "0").stdout
    last = [line for line in said.splitlines() if re.match(r"\d{4}-", line)][-1]
    assert last in shown


def test_a_second_up_changes_nothing(host):
    done = host.as_unit(CONTROL, "up")
    assert "nothing to do" in done.stdout + done.stderr


@pytest.mark.parametrize("name", ["keystone", "containerd"])
def test_a_killed_service_is_back_and_the_servers_never_left(host, name):
    servers = _servers(host)
    before = _show(host, f"openstack-{name}.service", "MainPID")
    host.run("kill", "-KILL", before)
    began = time.monotonic()
    until(
        lambda: (
            _show(host, f"openstack-{name}.service", "ActiveState") == "active"
            and _show(host, f"openstack-{name}.service", "MainPID") not in (before, "0")
        ),
        seconds=RUNNING_AGAIN,
        why=f"{name} again",
    )
    assert time.monotonic() - began < RUNNING_AGAIN
    _answer(host, servers, seconds=10)
    until(lambda: _well(host), seconds=60, why=f"the cloud well after {name} was killed")


def test_daemons_are_restarted_and_the_servers_run_on(host):
    servers = _servers(host)
    host.run("systemctl", "restart", "openstack-dockerd", "openstack-libvirtd")
    _answer(host, servers, seconds=10)
    until(lambda: _well(host), seconds=60, why="the cloud well after its daemons' restart")
    assert [one["status"] for one in _servers(host)] == ["ACTIVE", "ACTIVE"]


def test_a_reboot_brings_the_cloud_and_its_servers_back(host):
    servers = _servers(host)
    host.reboot()
    began = time.monotonic()
    until(
        lambda: host.says("systemctl", "is-active", "nova-docker.target") == "active",
        seconds=300,
        why="the target after the reboot",
    )
    _answer(host, servers, seconds=120)
    print(f"cloud and servers back {time.monotonic() - began:.0f} s after systemd's start")
    after = until(
        lambda: (now := _servers(host)) and {one["status"] for one in now} == {"ACTIVE"} and now,
        seconds=60,
        why="the servers active",
    )
    address = {one["name"]: one["address"] for one in servers}
    assert {one["name"]: one["address"] for one in after} == address
    assert host.says("systemctl", "is-failed", "nova-docker-boot.service") == "active"


def test_down_leaves_no_unit_slice_or_file(host):
    host.as_unit(CONTROL, "down", seconds=200)
    assert _units(host) == {}
    assert host.says("find", "/etc/systemd/system", "-mindepth", "1", "-not", "-name", "*.wants") == ""
    assert host.says("find", "/sys/fs/cgroup", "-name", "nova*") == ""
    assert host.says("ls", "-d", "/var/lib/nova-docker", "/run/nova-docker") == ""
    assert host.says("systemctl", "is-system-running") == "running"
