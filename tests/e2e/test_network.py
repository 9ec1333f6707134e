# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""One network for both kinds: floating IPs, the tenant network, the way out, security groups; all by TCP."""

import contextlib
import functools
import http.server
import subprocess
import sys
import threading

import pytest
from tests.e2e.backends import BOTH
from tests.e2e.cloud import CONTAINER, KINDS, MACHINE, WORDS, get, until

pytestmark = BOTH

OUTSIDE, GATEWAY = "198.51.100.2", "198.51.100.1"


def _other(kind: str) -> str:
    return MACHINE if kind == CONTAINER else CONTAINER


class _Greeter(http.server.BaseHTTPRequestHandler):
    """Answers with the address it was asked from."""

    def do_GET(self) -> None:
        body = f"you are {self.client_address[0]}".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def greeter():
    """A web server on every address of the host; the fixture is its port."""
    with http.server.ThreadingHTTPServer(("0.0.0.0", 0), _Greeter) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()


@pytest.fixture
def outside(tmp_path):
    """A machine beyond the host, with a page, and no way back but to the host, whose policy is to drop."""
    ip = functools.partial(_run, "ip")
    with contextlib.ExitStack() as undo:
        ip("netns", "add", "ndk-outside")
        undo.callback(ip, "netns", "del", "ndk-outside")
        ip("link", "add", "ndk-out0", "type", "veth", "peer", "name", "ndk-out1", "netns", "ndk-outside")
        undo.callback(ip, "link", "del", "ndk-out0")  # with its namespace it would go some time later
        ip("addr", "add", f"{GATEWAY}/24", "dev", "ndk-out0")
        ip("link", "set", "ndk-out0", "up")
        ip("-n", "ndk-outside", "addr", "add", f"{OUTSIDE}/24", "dev", "ndk-out1")
        ip("-n", "ndk-outside", "link", "set", "ndk-out1", "up")
        (tmp_path / "index.html").write_text("the world outside")
        serve = ["-m", "http.server", "80", "--directory", str(tmp_path)]
        server = subprocess.Popen(
            ["ip", "netns", "exec", "ndk-outside", sys.executable, *serve],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        undo.callback(server.wait)
        undo.callback(server.terminate)
        before = _run("iptables", "-S", "FORWARD").splitlines()[0].split()[-1]
        _run("iptables", "-P", "FORWARD", "DROP")
        undo.callback(_run, "iptables", "-P", "FORWARD", before)
        until(lambda: get(f"http://{OUTSIDE}/"), seconds=10, why="the server outside")
        yield OUTSIDE


def _run(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def test_the_page_comes_through_the_floating_ip(servers, kind):
    assert WORDS[kind] in servers[kind].page()
    assert WORDS[_other(kind)] not in servers[kind].page()


def test_each_reaches_the_other_on_the_tenant_network(servers, kind):
    servers[kind].page()
    other = servers[_other(kind)]
    assert WORDS[other.kind] in servers[kind].fetch(f"http://{other.fixed}/")


def test_a_server_reaches_the_host_through_the_router_as_its_floating_ip(servers, kind, greeter):
    servers[kind].page()
    said = servers[kind].fetch(f"http://172.24.4.1:{greeter}/")
    assert said.strip() == f"you are {servers[kind].address}"


def test_a_server_reaches_the_world_beside_a_foreign_policy_of_drop(servers, kind, outside):
    servers[kind].page()
    assert "the world outside" in servers[kind].fetch(f"http://{outside}/")


def test_addresses_are_as_neutron_says(cloud, servers, kind):
    """MTU, MAC, address and routes: asked of the container's own kernel view, and of the VM's page."""
    (port,) = cloud.connection.network.ports(device_id=servers[kind].id)
    network = cloud.connection.network.get_network(port.network_id)
    if kind == MACHINE:
        assert f"{servers[kind].fixed}/24" in servers[kind].page()
        return
    inside = _in_container(cloud, servers[kind].id, "ip", "addr")
    assert f"inet {servers[kind].fixed}/24" in inside
    assert port.mac_address in inside
    assert f"mtu {network.mtu}" in inside
    routes = _in_container(cloud, servers[kind].id, "ip", "route")
    assert "default via 10.20.0.1" in routes
    assert "169.254.169.254" in routes


def test_metadata_is_served(cloud, servers, kind):
    metadata = servers[kind].fetch("http://169.254.169.254/openstack/latest/meta_data.json")
    assert servers[kind].id in metadata


@pytest.fixture(scope="module")
def guarded(cloud, images):
    """A container and a VM in a security group of their own, which lets nothing in as it is made."""
    network = cloud.connection.network
    group = network.create_security_group(name="e2e-closed")
    asked = {kind: cloud.create(f"e2e-closed-{kind}", images[kind], groups=("e2e-closed",)) for kind in KINDS}
    settled = {kind: cloud.settled(server) for kind, server in asked.items()}
    try:
        for server in settled.values():
            assert server.status == "ACTIVE", server.fault
        yield group, {kind: cloud.reachable(server, kind) for kind, server in settled.items()}
    finally:
        for server in settled.values():
            cloud.remove(server.id)
        network.delete_security_group(group)


def test_security_groups_hold_in_both_directions(cloud, servers, guarded, kind):
    network = cloud.connection.network
    group, inside = guarded
    server, peer = inside[kind], servers[_other(kind)]
    # Up and serving, or "closed" would prove nothing.
    said = "serving its page on port 80"
    until(lambda: said in cloud.console(server.id), seconds=60, why="its console")

    assert not get(f"http://{server.address}/"), "closed to the host by default"
    assert not peer.fetch(f"http://{server.fixed}/"), "closed to a neighbour by default"

    opened = network.create_security_group_rule(
        security_group_id=group.id, direction="ingress", ether_type="IPv4", protocol="tcp",
        port_range_min=80, port_range_max=80,
    )  # fmt: skip
    try:
        assert WORDS[kind] in server.page(seconds=15)
        assert WORDS[kind] in peer.fetch(f"http://{server.fixed}/")
        assert WORDS[peer.kind] in server.fetch(f"http://{peer.fixed}/"), "open outwards by default"

        for rule in network.security_group_rules(security_group_id=group.id, direction="egress"):
            network.delete_security_group_rule(rule)
        until(
            lambda: not server.fetch(f"http://{peer.fixed}/"),
            seconds=15,
            why="closed outwards without a rule",
        )
        assert WORDS[kind] in server.page(seconds=15), "answers to what was let in go out"
    finally:
        network.delete_security_group_rule(opened)
        if not list(network.security_group_rules(security_group_id=group.id, direction="egress")):
            network.create_security_group_rule(
                security_group_id=group.id, direction="egress", ether_type="IPv4"
            )
    until(lambda: not get(f"http://{server.address}/"), seconds=15, why="closed again")


@pytest.mark.parametrize("wrong", KINDS)
def test_an_image_never_lands_on_the_other_hypervisor(cloud, images, servers, wrong):
    right = {CONTAINER: cloud.docker_host, MACHINE: cloud.host}
    assert cloud.connection.compute.get_server(servers[wrong].id).compute_host == right[wrong]
    # Not even where it is asked for by name.
    with cloud.server(f"e2e-wrong-{wrong}", images[wrong], host=right[_other(wrong)]) as server:
        settled = cloud.settled(server)
        assert settled.status == "ERROR"
        assert "No valid host" in settled.fault["message"]


def _in_container(cloud, server_id: str, *command: str) -> str:
    docker = ["docker", "-H", f"unix://{cloud.run_dir}/docker/docker.sock"]
    labels = [f"--filter=label=nova.docker.uuid={server_id}", "--filter=label=nova.docker.role=workload"]
    container = _run(*docker, "ps", "--quiet", *labels).strip()
    return _run(*docker, "exec", container, *command)
