# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""What a Docker daemon says of itself and its containers."""

import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from novadocker import run
from novadocker.host.evidence.model import NotSeen

USUAL_SOCKET = Path("/run/docker.sock")
_FACTS = (
    "ServerVersion",
    "Driver",
    "CgroupDriver",
    "CgroupVersion",
    "DockerRootDir",
    "SecurityOptions",
    "Warnings",
)


def state(socket: Path) -> dict[str, Any]:
    """The daemon's facts, and its containers with their state and our labels.

    :raises NotSeen: if no daemon answers there.
    """
    if not socket.exists():
        raise NotSeen(f"no Docker daemon answers at {socket}")
    facts = json.loads(_docker(socket, "info", "--format", "{{json .}}"))
    if facts.get("ServerErrors"):
        raise NotSeen(f"the Docker daemon at {socket} does not answer: {facts['ServerErrors'][0][:150]}")
    containers = []
    for line in _docker(socket, "ps", "-a", "--no-trunc", "--format", "{{json .}}").splitlines():
        each = json.loads(line)
        labels = dict(pair.partition("=")[::2] for pair in each["Labels"].split(",") if pair)
        containers.append(
            {
                "id": each["ID"],
                "name": each["Names"],
                "state": each["State"],
                "status": each["Status"],
                "server": labels.get("nova.docker.uuid", ""),
                "host": labels.get("nova.docker.host", ""),
                "role": labels.get("nova.docker.role", ""),
            }
        )
    pids = _pids(socket, [each["id"] for each in containers if each["server"]])
    return {
        "socket": str(socket),
        "facts": {name: facts.get(name) for name in _FACTS},
        "containers": [{**each, "pid": pids.get(each["id"], 0)} for each in containers],
    }


def _pids(socket: Path, containers: list[str]) -> dict[str, int]:
    """The first process of each container; 0, or nothing, for one that does not run."""
    if not containers:
        return {}
    # One that went meanwhile is told on the other channel.
    told = _docker(socket, "inspect", "--format", "{{.Id}} {{.State.Pid}}", *containers)
    return {name: int(pid) for name, pid in (line.split() for line in told.splitlines())}


def offloads(engines: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Which interfaces of servers leave checksums to a device: the userspace datapath has none.

    :raises NotSeen: where other processes' network namespaces may not be entered.
    """
    if os.geteuid() != 0:
        raise NotSeen("only root looks into containers' network namespaces")
    found = []
    for container in [each for engine in engines for each in engine["containers"]]:
        if container["role"] != "workload" or not container["pid"]:
            continue
        inside = ["nsenter", f"--net=/proc/{container['pid']}/ns/net", "--"]
        shown = run.run([*inside, "ip", "-j", "link"], check=False, seconds=10)
        for link in json.loads(shown.out) if shown.code == 0 else []:
            if link.get("link_type") != "ether":
                continue
            features = run.run([*inside, "ethtool", "-k", link["ifname"]], check=False, seconds=10)
            found.append(
                {
                    "server": container["server"],
                    "pid": container["pid"],
                    "device": link["ifname"],
                    "checksums": "tx-checksumming: on" in features.out,
                }
            )
    return found


def _docker(socket: Path, *words: str) -> str:
    try:
        done = run.run(["docker", "-H", f"unix://{socket}", *words], check=False, seconds=20)
    except run.CommandFailed as error:
        raise NotSeen(str(error)) from error
    if done.code != 0 and not done.out.strip():
        raise NotSeen(f"the Docker daemon at {socket} does not answer: {done.err.strip()[-150:]}")
    return done.out
