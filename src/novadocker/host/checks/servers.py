# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""Servers that are stuck, and what holds their containers."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from novadocker.host.checks.model import Check, Trouble
from novadocker.host.evidence.model import Evidence

# Longer than any of ours takes: a build waits 15 s for its ports, an image of gigabytes loads within minutes.
_STUCK_SECONDS = 600
# Docker's storage drivers: a layer's or container's own place, not the folder of all.
_OF_CONTAINER = re.compile(r"/(?:subvolumes|overlay2|aufs/mnt|devicemapper/mnt|vfs/dir|containers)/[^/]+")
_DELETING = {"deleting", "force-deleting"}


def stuck(evidence: Evidence) -> list[Trouble]:
    """Servers in the middle of something for too long."""
    now = _moment(evidence["now"])
    up = {
        each["host"]
        for each in evidence["computes"]
        if each["binary"] == "nova-compute" and each["state"] == "up"
    }
    there = {container["server"] for engine in evidence["engines"] for container in engine["containers"]}
    troubles = []
    for server in evidence["servers"]:
        if not server["task"]:
            continue
        age = (now - _moment(server["updated"])).total_seconds()
        dead = server["host"] and server["host"] not in up
        if age < _STUCK_SECONDS and not dead:
            continue
        seen = [f"task '{server['task']}' since {server['updated']}", f"status {server['status']}"]
        seen.append(f"host {server['host'] or 'none yet'}{', which does not report' if dead else ''}")
        deleting = server["task"] in _DELETING
        if deleting:
            seen.append(
                "its container is there still" if server["id"] in there else "it has no container here"
            )
        again = f"openstack server set --state error {server['id']} && openstack server delete {server['id']}"
        troubles.append(
            Trouble(
                seen=tuple(seen),
                cause=f"Server {server['name']} has been {'deleting' if deleting else server['task']} for "
                f"{age / 60:.0f} min"
                + (": its nova-compute is down." if dead else ": nobody works on it."),
                fix=("nova-docker up" if dead else again if deleting else
                     f"openstack server set --state error {server['id']}, then reboot --hard or delete it"),
            )
        )  # fmt: skip
    return troubles


def faults(evidence: Evidence) -> list[Trouble]:
    """Servers in ERROR."""
    return [
        Trouble(
            seen=(server["fault"] or "Nova kept no word about it",),
            cause=f"Server {server['name']} failed.",
            fix=f"nova-docker why {server['id']}",
            severe=False,
        )
        for server in evidence["servers"]
        if server["status"] == "ERROR"
    ]


def held_mounts(evidence: Evidence) -> list[Trouble]:
    """Processes in mount namespaces of their own, as PrivateTmp makes, that hold containers' mounts."""
    troubles = []
    for holder in evidence["holders"]:
        held = [place for place in holder["mounts"] if _OF_CONTAINER.search(place)]
        if not held or holder["name"] in ("dockerd", "containerd"):
            continue
        stale = [place for place in held if place in holder["stale"]]
        unit = holder["unit"]
        troubles.append(
            Trouble(
                seen=(
                    f"{len(held)} mounts, as {(stale or held)[0]}",
                    f"{len(stale)} of them are of containers that are gone",
                ),
                cause=f"{holder['name']} (process {holder['pid']}{_of_unit(holder)}) keeps containers' mounts"
                " in a namespace of its own: on old storage drivers their removal fails as busy, on all "
                "their space stays in use.",
                fix=f"systemctl restart {unit}   # and take PrivateTmp from it, or start it before docker"
                if unit
                else f"nsenter --mount --target {holder['pid']} umount -l {(stale or held)[0]}",
                severe=bool(stale),
            )
        )
    return troubles


def _of_unit(process: Mapping[str, Any]) -> str:
    return f", unit {process['unit']}" if process["unit"] else ""


def dead_containers(evidence: Evidence) -> list[Trouble]:
    """Containers Docker could not remove."""
    return [
        Trouble(
            seen=(f"{container['name']}: {container['status']}",),
            cause=f"Docker could not remove a container of server {container['server']}: it was held.",
            fix=f"docker -H unix://{engine['socket']} rm -f {container['name']}",
            safe=True,
        )
        for engine in evidence["engines"]
        for container in engine["containers"]
        if container["server"] and container["state"] in ("dead", "removing")
    ]


def _moment(text: str) -> datetime:
    found = datetime.fromisoformat(text.replace("Z", "+00:00"))
    return found if found.tzinfo else found.replace(tzinfo=UTC)


CHECKS = (
    Check(id="stuck-servers", asks="Is every server that is being worked on getting on?", judge=stuck),
    Check(id="held-mounts", asks="Does nobody hold the file systems of containers?", judge=held_mounts),
    Check(id="dead-containers", asks="Could Docker remove what it was told to?", judge=dead_containers),
    Check(id="failed-servers", asks="Is no server in ERROR?", judge=faults),
)
