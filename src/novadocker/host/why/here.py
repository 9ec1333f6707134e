# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""What this machine shows of one server: its services' processes, container or domain, its ports in OVN."""

import json
from pathlib import Path
from typing import Any

import psutil

from novadocker import run
from novadocker.errors import NovaDockerError
from novadocker.host.evidence.model import NotSeen
from novadocker.host.services import registry
from novadocker.host.services.model import Cloud
from novadocker.host.supervise import choice

_LAST_LINES = 5


def supervised(cloud: Cloud) -> dict[str, dict[str, Any]]:
    """The services' states, and which are stopped by a signal.

    :raises NotSeen: if their supervisor does not answer.
    """
    try:
        processes = choice.of(cloud, registry.services(cloud)).supervisor.processes()
    except NovaDockerError as error:
        raise NotSeen(str(error)) from error
    return {
        name: {"state": each.state, "pid": each.pid, "frozen": _frozen(each.pid)}
        for name, each in processes.items()
    }


def _frozen(pid: int) -> bool:
    """Whether a process or one it started is stopped: what is supervised may be a shell before it."""
    if not pid:
        return False
    try:
        first = psutil.Process(pid)
        return any(
            each.status() == psutil.STATUS_STOPPED for each in [first, *first.children(recursive=True)]
        )
    except psutil.Error:
        return False


def container(cloud: Cloud, server: str) -> dict[str, Any]:
    """How its container is, and the last it printed; empty if there is none.

    :raises NotSeen: if the Docker daemon does not answer.
    """
    name = f"nova-{server}"
    done = _docker(cloud, "container", "inspect", "--format", "{{json .}}", name)
    if done.code != 0:
        if "No such container" in done.err:
            return {}
        raise NotSeen(f"the Docker daemon does not answer: {done.err.strip()[-150:]}")
    state = json.loads(done.out)["State"]
    said = _docker(cloud, "logs", "--tail", str(_LAST_LINES), name)
    printed = [each.strip()[:200] for each in (said.out + said.err).splitlines() if each.strip()]
    return {
        "name": name,
        "status": state["Status"],
        "exit": state["ExitCode"],
        "out_of_memory": state["OOMKilled"],
        "error": state["Error"],
        "started": state["StartedAt"],
        "finished": state["FinishedAt"],
        "last": printed[-_LAST_LINES:],
    }


def _docker(cloud: Cloud, *words: str) -> run.Finished:
    try:
        return run.run(
            ["docker", "-H", f"unix://{cloud.layout.docker_socket}", *words], check=False, seconds=20
        )
    except run.CommandFailed as error:
        raise NotSeen(str(error)) from error


def domain(cloud: Cloud, server: str, *, instance: str) -> dict[str, Any]:
    """How its domain is, and the last words of its QEMU; empty if there is none.

    :param instance: libvirt's name for it, after which QEMU's log is called.
    :raises NotSeen: if libvirtd does not answer.
    """
    uri = f"qemu+unix:///system?socket={cloud.layout.libvirt_socket}"
    try:
        done = run.run(["virsh", "-c", uri, "domstate", "--reason", server], check=False, seconds=20)
    except run.CommandFailed as error:
        raise NotSeen(str(error)) from error
    log = cloud.layout.logs / "libvirt" / "qemu" / f"{instance}.log"
    if done.code != 0:
        if "Domain not found" not in done.err and "failed to get domain" not in done.err:
            raise NotSeen(f"libvirtd does not answer: {done.err.strip()[-150:]}")
        return {}
    return {"state": done.out.strip(), "last": _last(log)}


def _last(log: Path) -> list[str]:
    if not log.is_file():
        return []
    said = [each for each in log.read_text(errors="replace").splitlines()[-40:] if each.strip()]
    # Its command line is of one argument a line, each but the last with a backslash.
    return [each[:200] for each in said if not each.endswith("\\")][-_LAST_LINES:]


def southbound(cloud: Cloud, ports: list[str]) -> dict[str, Any]:
    """The chassis OVN knows, and where it has the server's ports.

    :raises NotSeen: if OVN's database does not answer.
    """
    chassis = _rows(cloud, "list", "Chassis")
    names = {row["_uuid"]: row for row in chassis}
    bound = []
    for port in ports:
        for row in _rows(cloud, "find", "Port_Binding", f"logical_port={port}"):
            at = names.get(row["chassis"] if isinstance(row["chassis"], str) else "", {})
            bound.append({"port": port, "chassis": at.get("hostname", ""), "up": row["up"] is True})
    return {"chassis": [row["hostname"] for row in chassis], "ports": bound}


def _rows(cloud: Cloud, *words: str) -> list[dict[str, Any]]:
    command = [
        "ovn-sbctl",
        f"--db=unix:{cloud.layout.ovn_sb_socket}",
        "--timeout=10",
        "--format=json",
        *words,
    ]
    try:
        done = run.run(command, check=False, seconds=15)
    except run.CommandFailed as error:
        raise NotSeen(str(error)) from error
    if done.code != 0:
        raise NotSeen(f"OVN's southbound database does not answer: {done.err.strip()[-150:]}")
    answer = json.loads(done.out)
    plain = [[cell[1] if isinstance(cell, list) else cell for cell in row] for row in answer["data"]]
    return [dict(zip(answer["headings"], row, strict=True)) for row in plain]
