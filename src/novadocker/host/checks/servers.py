# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""Servers that are stuck, and what holds their containers."""

import re
from collections.abc import Mapping
from typing import Any

from novadocker.host.checks.model import Check, Trouble, moment
from novadocker.host.evidence.model import Evidence

# Longer than any of ours takes: a build waits 15 s for its ports, an image of gigabytes loads within minutes.
_STUCK_SECONDS = 600
# Docker's storage drivers: a layer's or container's own place, not the folder of all.
_OF_CONTAINER = re.compile(r"/(?:subvolumes|overlay2|aufs/mnt|devicemapper/mnt|vfs/dir|containers)/[^/]+")
# What the driver keeps of a running server by itself: its file goes with it, and so do others' copies.
_KEPT = re.compile(r"/namespaces/[^/]+/[0-9a-f-]{36}/(?:net|user)$")
_DELETING = {"deleting", "force-deleting"}


def stuck(evidence: Evidence) -> list[Trouble]:
    """Servers in the middle of something for too long."""
    now = moment(evidence["now"])
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
        age = (now - moment(server["updated"])).total_seconds()
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
                safe=bool(dead and server["host"] in evidence["ours"].get("hosts", ())),
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
    """Processes in mount namespaces of their own, as PrivateTmp makes, that hold what is containers'."""
    troubles = []
    for holder in evidence["holders"]:
        if holder["name"] in ("dockerd", "containerd"):
            continue
        held = [place for place in holder["mounts"] if _of_a_container(place, holder)]
        stale = [place for place in held if place in holder["stale"]]
        # The daemon's storage itself is a container's business only when it is gone, and its disk is not.
        loops = {
            place: holder["sources"][place]
            for place in holder["stale"]
            if holder["sources"].get(place, "").startswith("/dev/loop")
        }
        # libvirtd has a namespace of its own by design, and sees what ran when it started: that goes with its
        # place.
        if not (held or loops) or (holder["name"] == "libvirtd" and not (stale or loops)):
            continue
        first = next(iter([*stale, *loops, *held]))
        unit = holder["unit"]
        troubles.append(
            Trouble(
                seen=(
                    *_counted(held, holder),
                    *(f"the loop device {device}" for device in sorted(set(loops.values()))),
                    f"as {first}; {len({*stale, *loops})} of them are of what is gone",
                ),
                cause=f"{holder['name']} (process {holder['pid']}{_of_unit(holder)}) keeps what is "
                "containers' in a mount namespace of its own: before Linux 3.18 removal fails as busy, since"
                " then their space stays in use.",
                fix=f"systemctl restart {unit}   # and take PrivateTmp from it, or start it before docker"
                if unit
                else f"nsenter --mount --target {holder['pid']} umount -l {first}",
                severe=bool(stale or loops),
            )
        )
    return troubles


def _of_a_container(place: str, holder: Mapping[str, Any]) -> bool:
    if holder["sources"].get(place) == "nsfs":
        return place in holder["stale"] or not _KEPT.search(place)
    return bool(_OF_CONTAINER.search(place))


def _counted(held: list[str], holder: Mapping[str, Any]) -> list[str]:
    namespaces = sum(holder["sources"].get(place) == "nsfs" for place in held)
    counts = {"mounts": len(held) - namespaces, "namespaces": namespaces}
    return [f"{count} {what} of containers" for what, count in counts.items() if count]


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


CHECKS = (
    Check(id="stuck-servers", asks="Is every server that is being worked on getting on?", judge=stuck),
    Check(id="held-mounts", asks="Does nobody hold the file systems of containers?", judge=held_mounts),
    Check(id="dead-containers", asks="Could Docker remove what it was told to?", judge=dead_containers),
    Check(id="failed-servers", asks="Is no server in ERROR?", judge=faults),
)
