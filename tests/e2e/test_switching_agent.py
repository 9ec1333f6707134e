# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""ML2/OVS's one agent for both hypervisors: what its end and its absence do, and that there is no second."""

import os
import signal
import threading

import pytest
from tests.e2e.backends import BACKEND, BOTH, OVS
from tests.e2e.cloud import CONTAINER, KINDS, MACHINE, WORDS, get, until
from tests.e2e.containers import answers

AGENT = "neutron-openvswitch-agent"
# Who else has a part in a server's traffic while it lasts.
OTHERS = ("neutron-l3-agent", "neutron-dhcp-agent", "neutron-metadata-agent", "neutron-rpc-server")


class _Asking:
    """Asks for servers' pages all the time; `failures` are those that did not come."""

    def __init__(self, servers) -> None:
        self.failures: list[str] = []
        self._ended = threading.Event()
        self._threads = [threading.Thread(target=self._ask, args=(server,)) for server in servers]

    def _ask(self, server) -> None:
        while not self._ended.wait(0.5):
            if not get(f"http://{server.address}/", seconds=5):
                self.failures.append(server.name)

    def __enter__(self) -> "_Asking":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        for thread in self._threads:
            thread.join()


@OVS
def test_servers_are_reachable_while_agents_end_and_come_back(own_cloud, servers):
    """Killed, and restarted in order; the flows, namespaces and their processes stay."""
    cloud = own_cloud
    pids = cloud.pids()
    for server in servers.values():
        server.page()
    with _Asking(servers.values()) as asking:
        for name in (AGENT, *OTHERS):
            os.kill(pids[name], signal.SIGKILL)
        until(
            lambda: all(pid not in (0, pids[name]) for name, pid in _running(cloud).items()),
            seconds=30,
            why="all back by themselves",
        )
        cloud.restart(AGENT)
        until(lambda: cloud.status()["healthy"], seconds=90, why="all is well")
    assert not asking.failures
    for server in servers.values():
        answers(cloud, server)
        other = next(one for one in servers.values() if one.kind != server.kind)
        assert WORDS[other.kind] in server.fetch(f"http://{other.fixed}/")


@OVS
@pytest.mark.parametrize("agent", ["that works", "that begins"])
def test_servers_are_reachable_again_after_the_switch_was_killed(own_cloud, servers, agent):
    """In userspace the flows, and the way into the routers' namespaces, go with it."""
    if agent == "that begins":
        log = own_cloud.root / "log" / f"{AGENT}.log"
        written = log.stat().st_size
        os.kill(own_cloud.pids()[AGENT], signal.SIGKILL)
        until(lambda: b"has datapath-ID" in log.read_bytes()[written:], seconds=30, why="the switch's words")
    os.kill(own_cloud.pids()["vswitchd"], signal.SIGKILL)
    until(lambda: own_cloud.status()["healthy"], seconds=90, why="all is well")
    for server in servers.values():
        assert WORDS[server.kind] in server.page(seconds=60)
        assert server.id in server.fetch("http://169.254.169.254/openstack/latest/meta_data.json")


@OVS
def test_without_the_agent_a_boot_says_so_and_the_server_can_be_deleted(own_cloud, images):
    """Neutron thinks it alive for a while: then nobody makes the port work, and the fault names the agent."""
    cloud = own_cloud
    cloud.supervisor.stopProcess(AGENT)
    try:
        with cloud.server("e2e-without-agent", images[CONTAINER]) as server:
            settled = cloud.settled(server, seconds=60)
            assert settled.status == "ERROR"
            assert "network agent" in settled.fault["message"] or "agent" in settled.fault["message"].lower()
    finally:
        cloud.control("up")
    with cloud.server("e2e-with-agent", images[CONTAINER]) as server:
        settled = cloud.settled(server)
        assert settled.status == "ACTIVE", settled.fault


@OVS
@pytest.mark.parametrize("kind", KINDS)
def test_one_floating_ip_reaches_another_behind_the_same_router(servers, kind):
    other = next(one for one in servers.values() if one.kind != kind)
    assert WORDS[other.kind] in servers[kind].fetch(f"http://{other.address}/")


@OVS
def test_an_address_that_is_free_again_is_another_vm_s(cloud, images):
    """dnsmasq holds on to a lease for a day, unless the agent gives it back; the next VM would get none."""
    network = cloud.connection.network
    (tenant,) = [one for one in network.networks() if one.name == "private"]
    fixed: list[dict[str, str]] = []
    for number in (1, 2):
        port = network.create_port(
            network_id=tenant.id, name="e2e-lease", **({"fixed_ips": fixed} if fixed else {})
        )
        try:
            networks = [{"port": port.id}]
            with cloud.server(f"e2e-lease-{number}", images[MACHINE], networks=networks) as server:
                assert cloud.settled(server).status == "ACTIVE"
                lease = f"{port.mac_address} {port.fixed_ips[0]['ip_address']} "
                until(lambda lease=lease: lease in _leases(cloud, tenant.id), seconds=90, why="its lease")
        finally:
            network.delete_port(port)
        fixed = [{"ip_address": port.fixed_ips[0]["ip_address"]}]
        until(lambda lease=lease: lease not in _leases(cloud, tenant.id), seconds=30, why="given back")


def _leases(cloud, network_id: str) -> str:
    return (cloud.run_dir / "neutron-dhcp-agent" / "dhcp" / network_id / "leases").read_text()


@BOTH
@pytest.mark.parametrize(
    "asked",
    [
        '[options."neutron/ovs-docker.conf".DEFAULT]\nhost = "nova-docker"\n',
        '[options."nova-docker/nova-docker.conf".docker]\nbinding_host = "nova-docker"\n',
        "[network]\ndocker_agent = true\n",
    ],
    ids=["the article's file", "ports for it", "a key"],
)
def test_the_article_s_second_agent_is_refused_with_the_reason(cloud, asked, tmp_path):
    file = tmp_path / "two.toml"
    file.write_text(asked)
    refused = cloud.control("--config", str(file), "up", "--dry-run", check=False)
    assert refused.returncode == 1
    assert "one agent per machine" in refused.stderr
    assert "deletes the first one's flows" in " ".join(refused.stderr.split())


@BOTH
def test_the_backend_stays_as_it_was_at_the_first_up(cloud, tmp_path):
    now = "ovn" if BACKEND == "ovs" else "ovs"
    file = tmp_path / "other.toml"
    file.write_text(f'[network]\nbackend = "{now}"\n')
    refused = cloud.control("--config", str(file), "up", "--dry-run", check=False)
    assert refused.returncode == 1
    assert "cannot be changed in a cloud that exists" in refused.stderr
    assert f"{now} now" in refused.stderr


def _running(cloud) -> dict[str, int]:
    pids = cloud.pids()
    return {name: pids[name] for name in (AGENT, *OTHERS)}
