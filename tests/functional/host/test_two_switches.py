# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""Two userspace switches of two clouds in one network namespace, which Open vSwitch alone does not allow."""

import os
import shlex
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.fakes import clouds
from tests.functional.host import grounds

from novadocker import poll
from novadocker.host import config, datapath_tap
from novadocker.host.bootstrap import switch
from novadocker.host.evidence import switch as evidence_switch
from novadocker.host.services import ovs
from novadocker.host.services.model import Cloud

BUSY = "creating tap device failed"


@pytest.fixture(autouse=True)
def network():
    grounds.require("ip", "ovsdb-server", "ovs-vsctl")
    with grounds.network_namespace():
        yield


@pytest.fixture
def place():
    with grounds.short_folder() as folder:
        yield folder


def _cloud(place: Path, name: str) -> Cloud:
    chosen = config.usual(name, root=place / name / "root", run_dir=place / name / "run")
    cloud = clouds.cloud(config=chosen, venv=Path(sys.prefix))
    for service in (ovs.ovsdb(cloud), ovs.vswitchd(cloud)):
        for folder in service.folders:
            folder.path.mkdir(parents=True, exist_ok=True)
    switch.make_switch_database(cloud)
    return cloud


@contextmanager
def _runs(cloud: Cloud, *, bridge: str) -> Iterator[subprocess.Popen]:
    """The cloud's switch, started as its script does, with one bridge; gives its process."""
    processes = []
    environment = {"PATH": "/usr/sbin:/usr/bin", "PYTHONPATH": os.pathsep.join(sys.path)}
    for service in (ovs.ovsdb(cloud), ovs.vswitchd(cloud)):
        script = "\n".join([*service.prepare, f"exec {shlex.join(service.command)}"])
        log = (cloud.layout.run / f"{service.name}.log").open("ab")
        processes.append(subprocess.Popen(["sh", "-c", script], stdout=log, stderr=log, env=environment))
        if service.name == "ovsdb":
            poll.until(
                lambda: None if cloud.layout.ovs_socket.is_socket() else "none",
                why="The database's socket", seconds=20, pause=0.02,
            )  # fmt: skip
    try:
        _vsctl(cloud, "--may-exist", "add-br", bridge, "--", "set", "Bridge", bridge, "datapath_type=netdev")
        yield processes[1]
    finally:
        for process in processes:
            process.kill()
            process.wait()


def _vsctl(cloud: Cloud, *words: str) -> None:
    # Without a wait: where another has the datapath's name, it is a little later that the bridge is there.
    command = ["ovs-vsctl", f"--db=unix:{cloud.layout.ovs_socket}", "--no-wait", *words]
    subprocess.run(command, check=True)


def _there(*names: str) -> None:
    poll.until(
        lambda: str(_names()) if not set(names) <= _names() else None,
        why=f"interfaces {names}", seconds=20, pause=0.05,
    )  # fmt: skip


def _names() -> set[str]:
    return {name for _, name in socket.if_nameindex()}


def test_each_has_its_datapath_and_none_holds_the_common_name(place):
    one, two = _cloud(place, "nova-docker"), _cloud(place, "second")
    with _runs(one, bridge="ndk-int"), _runs(two, bridge="second-int"):
        _there("ndk-int", "ndk-int-dp", "second-int", "second-int-dp")
        assert datapath_tap.FIXED_NAME not in _names()


def test_a_killed_one_comes_back_beside_the_other(place):
    one, two = _cloud(place, "nova-docker"), _cloud(place, "second")
    with _runs(one, bridge="ndk-int") as first, _runs(two, bridge="second-int"):
        _there("ndk-int-dp", "second-int-dp")
        first.kill()
        first.wait()
        with _runs(one, bridge="ndk-int"):
            _there("ndk-int", "ndk-int-dp", "second-int-dp")
            assert datapath_tap.FIXED_NAME not in _names()


def test_who_waits_for_a_switch_that_ends_ends_too(place):
    process = subprocess.Popen(["sleep", "0.3"])
    assert datapath_tap.rename_when_made("ndk-x-dp", pid=process.pid) is False
    process.wait()
    assert datapath_tap.rename_when_made("ndk-x-dp", pid=process.pid) is False


def test_what_a_switch_says_of_a_port_is_its_one_interface_s(place):
    cloud = _cloud(place, "nova-docker")
    with _runs(cloud, bridge="ndk-int"):
        interface = ["set", "Interface", "gone", "external_ids:iface-id=of-neutron"]
        _vsctl(cloud, "add-port", "ndk-int", "gone", "--", *interface)

        def missing() -> str | None:
            (bridge,) = evidence_switch.state(cloud.layout.ovs_socket)["bridges"]
            (port,) = [each for each in bridge["ports"] if each["name"] == "gone"]
            assert port["external_ids"] == {"iface-id": "of-neutron"}
            return None if "No such device" in port["error"] else f"its error: {port['error']}"

        poll.until(missing, why="the port's error", seconds=20, pause=0.05)
        _vsctl(cloud, "del-port", "ndk-int", "gone")
        (bridge,) = evidence_switch.state(cloud.layout.ovs_socket)["bridges"]
        assert [each["name"] for each in bridge["ports"]] == ["ndk-int"]
