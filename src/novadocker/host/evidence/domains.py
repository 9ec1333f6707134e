# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""What a libvirtd says of its domains."""

from pathlib import Path
from typing import Any

from novadocker import run
from novadocker.host.evidence.model import NotSeen

USUAL_SOCKET = Path("/run/libvirt/libvirt-sock")


def state(socket: Path) -> list[dict[str, Any]]:
    """The domains by id and name, and whether each runs.

    :raises NotSeen: if no libvirtd answers there.
    """
    running = {line for line in _virsh(socket, "list", "--state-running", "--uuid").split() if line}
    found = []
    for line in _virsh(socket, "list", "--all", "--uuid", "--name").splitlines():
        server, _, name = line.strip().partition(" ")
        if server:
            found.append({"id": server, "name": name.strip(), "running": server in running})
    return found


def _virsh(socket: Path, *words: str) -> str:
    try:
        done = run.run(
            ["virsh", "-q", "-c", f"qemu+unix:///system?socket={socket}", *words], check=False, seconds=20
        )
    except run.CommandFailed as error:
        raise NotSeen(str(error)) from error
    if done.code != 0:
        raise NotSeen(f"the libvirtd at {socket} does not answer: {done.err.strip()[-150:]}")
    return done.out
