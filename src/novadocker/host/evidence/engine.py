# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""What a Docker daemon says of itself and its containers."""

import json
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
    return {
        "socket": str(socket),
        "facts": {name: facts.get(name) for name in _FACTS},
        "containers": containers,
    }


def _docker(socket: Path, *words: str) -> str:
    try:
        done = run.run(["docker", "-H", f"unix://{socket}", *words], check=False, seconds=20)
    except run.CommandFailed as error:
        raise NotSeen(str(error)) from error
    if done.code != 0 and not done.out.strip():
        raise NotSeen(f"the Docker daemon at {socket} does not answer: {done.err.strip()[-150:]}")
    return done.out
