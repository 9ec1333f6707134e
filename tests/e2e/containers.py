# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""Containers as the host sees them, for what no client of the cloud can show; and what all must do."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.e2e.cloud import CONTAINER, WORDS, Cloud, Running, get, until


def docker(cloud: Cloud, *words: str, check: bool = True) -> str:
    """What docker says on the cloud's own daemon."""
    command = ["docker", "-H", f"unix://{cloud.run_dir}/docker/docker.sock", *words]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert not check or done.returncode == 0, f"{words}: {done.stdout}{done.stderr}"
    return done.stdout.strip()


def namespaces(cloud: Cloud) -> Path:
    """The folder in which servers' namespaces are kept."""
    return cloud.root / "data" / "docker" / "namespaces" / cloud.docker_host


def lose_namespaces(cloud: Cloud, server_id: str) -> None:
    """Let go of what keeps a server's namespaces; their files stay, as after a reboot of the machine."""
    for kind in ("net", "user"):
        subprocess.run(["umount", namespaces(cloud) / server_id / kind], check=True)


def inside(cloud: Cloud, server_id: str, script: str, *, user: str = "0:0") -> str:
    """What a shell inside a server says. As root it may do what root of its user namespace may."""
    how = ["--privileged"] if user == "0:0" else []  # else as little as the image's own user
    return docker(cloud, "exec", *how, "--user", user, f"nova-{server_id}", "sh", "-c", script)


@contextmanager
def marked(cloud: Cloud, image: Any, *, name: str, script: str) -> Iterator[Running]:
    """A container for a while, on whose disk a shell has left something."""
    with cloud.server(name, image) as asked:
        settled = cloud.settled(asked)
        assert settled.status == "ACTIVE", settled.fault
        running = cloud.reachable(settled, CONTAINER)
        running.page()
        inside(cloud, running.id, script)
        yield running


def answers(cloud: Cloud, server: Running) -> str:
    """A server's page, got over TCP; its ports are bound here, active, and have the address they had."""
    ports = list(cloud.connection.network.ports(device_id=server.id))
    assert server.fixed in {ip["ip_address"] for port in ports for ip in port.fixed_ips}
    assert {port.binding_host_id for port in ports} == {cloud.host}
    assert {port.binding_vif_type for port in ports} == {"ovs"}
    page = server.page()
    assert WORDS[server.kind] in page
    until(
        lambda: {p.status for p in cloud.connection.network.ports(device_id=server.id)} == {"ACTIVE"},
        seconds=30,
        why=f"the ports of {server.name} active",
    )
    return page


def file(server: Running, path: str, *, seconds: float = 30) -> str:
    """A file of a server's page, got over TCP."""
    url = f"http://{server.address}/{path}"
    return until(lambda: get(url), seconds=seconds, why=f"{url} of {server.name}").strip()


def remains(cloud: Cloud, server_id: str) -> dict[str, Any]:
    """What the daemon has of a server beside its container."""
    named = docker(
        cloud, "ps", "--all", f"--filter=label=nova.docker.uuid={server_id}", "--format={{.Names}}"
    )
    tagged = docker(cloud, "images", "--format={{.Repository}}:{{.Tag}}").splitlines()
    usual = {f"nova-{server_id}"}
    return {
        "containers": sorted(set(named.splitlines()) - usual),
        "images": [tag for tag in tagged if server_id in tag or "<none>" in tag],
    }


NOTHING: dict[str, Any] = {"containers": [], "images": []}
