# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""Servers on a real dockerd and Open vSwitch: they live, serve, survive and go."""

import os
import subprocess
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from nova import exception
from nova.virt import event as virt_event
from tests.fakes import docker_archive, nova_objects
from tests.functional.virt.docker import daemons
from tests.functional.virt.docker.conftest import HOST, Bench, Machine, eventually

from novadocker.virt.docker import names
from novadocker.virt.docker.errors import EngineError

WEB = ["httpd", "-f", "-h", "/www"]
RUNNING, PAUSED, SHUTDOWN = 1, 3, 4


def page(address: str = "10.20.0.5") -> str:
    """Return a server's page; its process may need a moment after its start until it listens."""
    deadline = time.monotonic() + 3
    while True:
        try:
            with urllib.request.urlopen(f"http://{address}/", timeout=3) as answer:
                return answer.read().decode()
        except urllib.error.URLError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)


def test_a_server_serves_and_is_as_neutron_and_the_flavor_say(machine: Machine, bench: Bench) -> None:
    server, port = (
        machine.server(WEB, hostname="Web 1"),
        nova_objects.port(routes=(("10.8.0.0/16", "10.20.0.9"),)),
    )
    bench.spawn(server, [port])

    assert page() == "Congratulations\n"
    assert bench.driver.get_info(server).state == RUNNING
    assert bench.driver.list_instances() == [server.name]
    assert bench.driver.list_instance_uuids() == [server.uuid]
    link = bench.inside(server, "ip", "address", "show", "dev", "eth0")
    assert "mtu 1442" in link
    assert port["address"] in link
    assert "10.20.0.5/24" in link
    routes = bench.inside(server, "ip", "route")
    assert "default via 10.20.0.1" in routes
    assert "10.8.0.0/16 via 10.20.0.9" in routes
    assert "169.254.169.254 via 10.20.0.2" in routes

    process = Path(f"/proc/{bench.pid(server)}")
    assert (process / "root/etc/resolv.conf").read_text() == "nameserver 10.20.0.2\n"
    assert "10.20.0.5\tweb-1" in (process / "root/etc/hosts").read_text()
    assert (process / "root/etc/hostname").read_text() == "web-1\n"
    status = dict(line.split(":", 1) for line in (process / "status").read_text().splitlines())
    assert int(status["Uid"].split()[0]) >= 100000
    assert status["NoNewPrivs"].strip() == "1"
    assert status["Seccomp"].strip() == "2"
    assert status["CapEff"].strip() == "00000000000424fb"
    groups = dict(
        line.split(":", 2)[1:]
        for line in (process / "cgroup").read_text().splitlines()
        if not line.startswith("0:")
    )
    if "memory" in groups:  # version 1 of control groups, as here
        place = Path("/sys/fs/cgroup")
        assert (place / f"memory{groups['memory']}/memory.limit_in_bytes").read_text() == f"{64 << 20}\n"
        assert (place / f"pids{groups['pids']}/pids.max").read_text() == "4096\n"
        assert (place / f"cpu{groups['cpu']}/cpu.cfs_quota_us").read_text() == "100000\n"

    ids = daemons.vsctl(machine.switch, "get", "interface", port["devname"], "external_ids")
    assert "nova-docker-host=host-docker" in ids
    assert f'iface-id="{port["id"]}"' in ids
    engine = bench.driver._engine
    assert engine.image("tenant/own:latest") is None

    bench.destroy(server, [port])
    assert bench.driver.list_instances() == []
    assert port["devname"] not in daemons.vsctl(machine.switch, "list-ports", "ndk-test")
    assert not Path(f"/sys/class/net/{port['devname']}").exists()
    assert not bench.driver._servers.place(server).exists()
    bench.destroy(server, [port])


def test_interfaces_survive_stops_reboots_and_a_new_nova_compute(machine: Machine, bench: Bench) -> None:
    server, port = machine.server(WEB), nova_objects.port()
    bench.spawn(server, [port])
    before = _index(bench, server)

    bench.driver.power_off(server, timeout=10)
    assert bench.driver.get_info(server).state == SHUTDOWN
    assert _index(bench, server) == before
    bench.driver.power_on(nova_objects.CONTEXT, server, [port])
    assert page() == "Congratulations\n"
    bench.driver.reboot(nova_objects.CONTEXT, server, [port], "SOFT")
    bench.driver.reboot(nova_objects.CONTEXT, server, [port], "HARD")
    assert page() == "Congratulations\n"

    pid = bench.pid(server)
    after = machine.driver()
    after.driver.plug_vifs(server, [port])
    assert _index(after, server) == before
    assert after.pid(server) == pid
    assert page() == "Congratulations\n"
    after.driver.cleanup_host("")


def test_servers_outlive_dockerd(machine: Machine, bench: Bench) -> None:
    server, port = machine.server(WEB), nova_objects.port()
    bench.spawn(server, [port])
    pid = bench.pid(server)
    machine.dockerd.stop()
    assert page() == "Congratulations\n"
    with pytest.raises(exception.NovaException, match="Is dockerd running"):
        bench.driver.get_info(server)
    machine.dockerd.start()
    assert bench.pid(server) == pid
    # The events are followed again.
    os.kill(pid, 9)
    assert bench.hears(server.uuid, virt_event.EVENT_LIFECYCLE_STOPPED, within=15)


def test_a_process_that_ends_is_told_at_once(machine: Machine, bench: Bench) -> None:
    server = machine.server(["sh", "-c", "echo working; sleep 0.6; echo broken; exit 7"])
    bench.spawn(server, [])
    assert bench.hears(server.uuid, virt_event.EVENT_LIFECYCLE_STOPPED)
    assert bench.driver.get_info(server).state == SHUTDOWN
    assert bench.driver.get_console_output(nova_objects.CONTEXT, server) == (
        b"working\nbroken\n[nova-docker] the process ended with exit code 7\n"
    )


def test_freezing(machine: Machine, bench: Bench) -> None:
    server = machine.server(WEB)
    bench.spawn(server, [])
    bench.driver.pause(server)
    assert bench.driver.get_info(server).state == PAUSED
    bench.driver.unpause(server)
    assert bench.driver.get_info(server).state == RUNNING
    bench.driver.pause(server)
    bench.driver.power_off(server, timeout=5)
    assert bench.driver.get_info(server).state == SHUTDOWN


def test_without_power_it_is_made_but_not_started(machine: Machine, bench: Bench) -> None:
    server, port = machine.server(WEB), nova_objects.port()
    bench.spawn(server, [port], power_on=False)
    assert bench.driver.get_info(server).state == SHUTDOWN
    bench.driver.power_on(nova_objects.CONTEXT, server, [port])
    assert page() == "Congratulations\n"


def test_the_network_is_ready_before_the_process_starts(machine: Machine, bench: Bench) -> None:
    server = machine.server(["sh", "-c", "ip -o -4 address show dev eth0; ip route; sleep 60"])
    bench.spawn(server, [nova_objects.port()])
    assert eventually(lambda: b"default via" in bench.driver.get_console_output(None, server))
    output = bench.driver.get_console_output(None, server)
    assert b"10.20.0.5/24" in output


def test_a_hard_reboot_makes_a_lost_sandbox_and_a_lost_workload_again(machine: Machine, bench: Bench) -> None:
    sandboxed = machine.driver(namespaces="")
    server, port = (
        machine.server(["sh", "-c", "echo mine >> /www/index.html; exec httpd -f -h /www"]),
        nova_objects.port(),
    )
    sandboxed.spawn(server, [port])
    engine = sandboxed.driver._engine
    engine.remove(names.container(uuid=server.uuid, role=names.SANDBOX))
    sandboxed.driver.power_off(server)
    with pytest.raises(exception.InstancePowerOnFailure, match="hard reboot"):
        sandboxed.driver.power_on(nova_objects.CONTEXT, server, [port])
    sandboxed.driver.reboot(nova_objects.CONTEXT, server, [port], "HARD")
    assert page() == "Congratulations\nmine\nmine\n"  # its own disk, and its second start
    sandboxed.driver.cleanup_host("")

    # A driver that needs no sandboxes serves it as it is, and has none when it must be made again.
    bench.driver.reboot(nova_objects.CONTEXT, server, [port], "HARD")
    assert page() == "Congratulations\nmine\nmine\nmine\n"
    engine.remove(names.container(uuid=server.uuid, role=names.SANDBOX))
    bench.driver.reboot(nova_objects.CONTEXT, server, [port], "HARD")
    assert page() == "Congratulations\nmine\nmine\nmine\nmine\n"
    assert engine.list(host=HOST, role=names.SANDBOX) == []

    engine.remove(names.container(uuid=server.uuid, role=names.WORKLOAD))
    bench.driver.reboot(nova_objects.CONTEXT, server, [port], "HARD")
    assert page().startswith("Congratulations\n")
    bench.destroy(server, [port])
    assert engine.image(names.kept_tag(server.uuid)) is None


def test_a_sandbox_in_which_nobody_lives_any_more_goes_with_the_next_start(
    machine: Machine, bench: Bench
) -> None:
    sandboxed = machine.driver(namespaces="")
    server, other = machine.server(WEB), machine.server(WEB)
    sandboxed.spawn(server, [])
    sandboxed.spawn(other, [])
    sandboxed.driver.cleanup_host("")
    engine = bench.driver._engine
    engine.remove(names.container(uuid=server.uuid, role=names.WORKLOAD))
    bench.driver.reboot(nova_objects.CONTEXT, server, [], "HARD")
    machine.driver().driver.cleanup_host("")
    (left,) = engine.list(host=HOST, role=names.SANDBOX)
    assert left.name == names.container(uuid=other.uuid, role=names.SANDBOX)


def test_a_server_without_a_port_reaches_itself(machine: Machine, bench: Bench) -> None:
    server = machine.server(WEB)
    bench.spawn(server, [])
    assert "LOOPBACK,UP" in bench.inside(server, "ip", "link", "show", "dev", "lo")


def test_a_server_whose_namespaces_are_kept_no_more_is_made_with_a_sandbox(
    machine: Machine, bench: Bench
) -> None:
    """Its dockerd has another runtime now; and back."""
    server, port = (
        machine.server(["sh", "-c", "echo mine >> /www/index.html; exec httpd -f -h /www"]),
        nova_objects.port(),
    )
    bench.spawn(server, [port])
    bench.driver.power_off(server)
    sandboxed = machine.driver(namespaces="")
    with pytest.raises(exception.InstancePowerOnFailure, match="hard reboot"):
        sandboxed.driver.power_on(nova_objects.CONTEXT, server, [port])
    sandboxed.driver.reboot(nova_objects.CONTEXT, server, [port], "HARD")
    assert page() == "Congratulations\nmine\nmine\n"
    assert len(sandboxed.driver._engine.list(host=HOST, role=names.SANDBOX)) == 1
    sandboxed.driver.cleanup_host("")


def test_a_server_lives_in_namespaces_of_its_own_that_outlive_its_process(
    machine: Machine, bench: Bench
) -> None:
    server, port = machine.server(WEB), nova_objects.port()
    bench.spawn(server, [port])
    place = machine.dockerd.namespaces / HOST / server.uuid
    kept = {kind: (place / kind).stat().st_ino for kind in ("net", "user")}
    assert _namespaces(bench, server) == kept
    root = str(bench.driver._facts().root_owner[0])
    assert Path(f"/proc/{bench.pid(server)}/uid_map").read_text().split() == ["0", root, "65536"]
    assert bench.driver._engine.list(host=HOST, role=names.SANDBOX) == []
    bench.driver.power_off(server)
    bench.driver.power_on(nova_objects.CONTEXT, server, [port])
    assert _namespaces(bench, server) == kept
    assert page() == "Congratulations\n"
    bench.destroy(server, [port])
    assert [each.name for each in machine.dockerd.namespaces.iterdir()] == [HOST]


def test_a_server_that_has_lost_its_namespaces_starts_by_nova_alone(machine: Machine, bench: Bench) -> None:
    server, port = machine.server(WEB), nova_objects.port()
    bench.spawn(server, [port])
    bench.driver.power_off(server)
    _lose_mounts(machine, server)  # as after a reboot of the machine
    with pytest.raises(EngineError, match="no network namespace now"):
        bench.driver._engine.start(names.container(uuid=server.uuid, role=names.WORKLOAD))
    bench.driver.power_on(nova_objects.CONTEXT, server, [port])
    assert page() == "Congratulations\n"


def test_a_running_server_s_namespaces_are_kept_again(machine: Machine, bench: Bench) -> None:
    server, port = machine.server(WEB), nova_objects.port()
    bench.spawn(server, [port])
    before = _index(bench, server)
    _lose_mounts(machine, server)
    assert _index(bench, server) == before
    again = machine.driver()  # a nova-compute that begins keeps them
    again.driver.cleanup_host("")
    for _ in range(2):
        bench.driver.power_on(nova_objects.CONTEXT, server, [port])
        bench.driver.power_off(server)
    bench.driver.power_on(nova_objects.CONTEXT, server, [port])
    assert _index(bench, server) == before
    assert page() == "Congratulations\n"


def test_two_ports_come_and_go(machine: Machine, bench: Bench) -> None:
    server = machine.server(WEB)
    first, second = (
        nova_objects.port(),
        nova_objects.port(
            address="10.21.0.5", cidr="10.21.0.0/24", gateway="10.21.0.1", mac="fa:16:3e:00:00:06"
        ),
    )
    bench.spawn(server, [first])
    bench.driver.attach_interface(nova_objects.CONTEXT, server, None, second)
    assert "10.21.0.5/24" in bench.inside(server, "ip", "address", "show", "dev", "eth1")
    bench.driver.detach_interface(nova_objects.CONTEXT, server, first)
    bench.driver.detach_interface(nova_objects.CONTEXT, server, first)
    assert "eth0" not in bench.inside(server, "ip", "link")
    bench.driver.attach_interface(nova_objects.CONTEXT, server, None, first)
    assert page() == "Congratulations\n"


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (["nosuch"], "exit code 127. Its last line: .*nosuch.* No such file or directory"),
        (
            ["sh", "-c", "echo cannot open /dev/thing; exit 3"],
            "exit code 3. Its last line: cannot open /dev/thing",
        ),
        (["/sbin/init"], "command could not be started: .*/sbin/init.*no such file"),
    ],
)
def test_a_process_that_fails_ends_the_build(
    machine: Machine, bench: Bench, command: list[str], words: str
) -> None:
    server, port = machine.server(command), nova_objects.port()
    patient = machine.driver(start_watch=5)  # a busy machine may take longer than usual to see an end
    with pytest.raises(exception.BuildAbortException, match=words):
        patient.spawn(server, [port])
    patient.driver.cleanup_host("")
    assert bench.driver.list_instances() == []
    assert port["devname"] not in daemons.vsctl(machine.switch, "list-ports", "ndk-test")


def test_an_image_is_loaded_once(machine: Machine, bench: Bench) -> None:
    first = machine.server(["sleep", "99"])
    servers = [first, *(machine.server(["sleep", "99"], image_ref=first.image_ref) for _ in range(3))]
    machine.archives[first.image_ref] = docker_archive.busybox(["sleep", "99"])
    machine.fetched.clear()
    threads = [threading.Thread(target=bench.spawn, args=(server, [])) for server in servers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert machine.fetched == [first.image_ref]
    assert sorted(bench.driver.list_instance_uuids()) == sorted(server.uuid for server in servers)


def test_another_s_port_is_left_alone(machine: Machine, bench: Bench) -> None:
    server, port = machine.server(WEB), nova_objects.port()
    bench.spawn(server, [port])
    daemons.vsctl(
        machine.switch, "set", "interface", port["devname"], "external_ids:nova-docker-host=elsewhere"
    )
    assert eventually(lambda: bench.driver._switch.port(port["devname"]).owner == "elsewhere")
    bench.driver.unplug_vifs(server, [port])
    assert port["devname"] in daemons.vsctl(machine.switch, "list-ports", "ndk-test")
    assert page() == "Congratulations\n"
    daemons.vsctl(machine.switch, "del-port", port["devname"])


def test_a_start_removes_what_a_crash_left(machine: Machine, bench: Bench) -> None:
    server, port = machine.server(WEB), nova_objects.port()
    bench.spawn(server, [port])
    bench.driver._engine.remove(names.container(uuid=server.uuid, role=names.WORKLOAD))
    after = machine.driver()
    assert after.driver._containers.namespace(server.uuid) is None
    assert list(machine.dockerd.namespaces.glob("*/*")) == []
    assert eventually(lambda: port["devname"] not in daemons.vsctl(machine.switch, "list-ports", "ndk-test"))
    after.driver.cleanup_host("")


def _namespaces(bench: Bench, server: Any) -> dict[str, int]:
    """Return the namespaces a server's process is in."""
    place = Path(f"/proc/{bench.pid(server)}/ns")
    return {kind: (place / kind).stat().st_ino for kind in ("net", "user")}


def _lose_mounts(machine: Machine, server: Any) -> None:
    """Leave the files of a server's namespaces, and nothing mounted there."""
    for kind in ("net", "user"):
        subprocess.run(["umount", machine.dockerd.namespaces / HOST / server.uuid / kind], check=True)


def _index(bench: Bench, server: object) -> str:
    """Return the interface's number: another number would be another interface."""
    return bench.inside(server, "ip", "-o", "link", "show", "dev", "eth0").split(":")[0]
