# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""What is planted on this machine is seen by the gatherers."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from novadocker.host.checks import registry
from novadocker.host.evidence import gather, machine, processes, services

WAITS = "import sys, time; print('here', flush=True); time.sleep(600)"


@pytest.fixture
def start():
    """Start a program that says when it is there, and end it afterwards."""
    running = []

    def begin(*words, **more):
        process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True, **more)
        running.append(process)
        assert process.stdout.readline() == "here\n"
        return process

    yield begin
    for process in running:
        process.kill()
        process.wait()


def test_a_process_that_holds_a_mount_in_a_namespace_of_its_own_is_named(start, tmp_path):
    """As PrivateTmp does it: the namespace is copied while a container's file system is mounted."""
    place = tmp_path / "docker" / "layer"
    place.mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "none", place], check=True)
    try:
        holder = start("unshare", "--mount", sys.executable, "-c", WAITS)
    finally:
        subprocess.run(["umount", place], check=True)
    found = processes.holders([tmp_path / "docker"])
    assert [each["pid"] for each in found] == [holder.pid]
    assert found[0]["mounts"] == found[0]["stale"] == [str(place)]
    assert Path(sys.executable).resolve().name.startswith(found[0]["name"])


def test_two_agents_on_one_bridge_are_seen_by_what_they_were_started_with(start, tmp_path):
    """The article's: the machine's own agent, and a second one for docker with another host."""
    program = tmp_path / "neutron-openvswitch-agent"
    program.write_text(f"#!{sys.executable}\n{WAITS}\n")
    program.chmod(0o755)
    base, overlay = tmp_path / "neutron.conf", tmp_path / "ovs-docker.conf"
    base.write_text(
        "[DEFAULT]\nhost = host.example.com\ntransport_url = secret\n[ovs]\nintegration_bridge = br-int\n"
    )
    overlay.write_text("[DEFAULT]\nhost=nova-docker\n")
    first = start(program, "--config-file", base)
    second = start(program, f"--config-file={base}", "--config-file", overlay)
    mine = [each for each in processes.programs() if each["pid"] in (first.pid, second.pid)]
    assert {each["program"] for each in mine} == {"neutron-openvswitch-agent"}
    found = services.configured(mine)
    assert {each["options"]["DEFAULT.host"] for each in found} == {"host.example.com", "nova-docker"}
    assert "secret" not in str(found)
    evidence = gather.gather(None, root=tmp_path, environment={})
    told = [
        each for each in registry.examine(evidence) if each.id == "two-ovs-agents" and each.status == "fail"
    ]
    assert any("br-int" in each.cause for each in told), evidence.missing


def test_the_machine_is_seen(tmp_path):
    assert machine.names()["hostname"]
    assert machine.kernel()["release"] == os.uname().release
    assert any(mount["writable"] for mount in machine.control_groups()["mounts"])
    assert machine.room(tmp_path / "not" / "there")["disk"]["free_mb"] > 0
    assert "lo" in {link["name"] for link in machine.links()}
    assert set(machine.settings()) >= {"net.ipv4.ip_forward"}


def test_without_a_cloud_everything_is_looked_at_and_nothing_fails(tmp_path):
    evidence = gather.gather(None, root=tmp_path, environment={})
    assert "OS_CLOUD" in evidence.missing["servers"]
    assert registry.examine(evidence)
