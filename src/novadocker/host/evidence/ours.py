# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""What a cloud of ours is meant to be, what keeps it running, and whether its folders let its users in."""

import os
import pwd
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from novadocker.host.bootstrap import databases
from novadocker.host.services import registry
from novadocker.host.services.model import Cloud
from novadocker.host.supervise import choice, restarts

_WRITE, _ENTER = 0o2, 0o1


def intended(cloud: Cloud) -> dict[str, Any]:
    """What was decided of the cloud."""
    return {
        "name": cloud.config.name,
        "hostname": cloud.hostname,
        "hosts": [cloud.hostname, cloud.docker_host],
        "docker_host": cloud.docker_host,
        "network_backend": cloud.config.network_backend,
        "external_cidr": cloud.config.external_cidr,
        "external_bridge": cloud.config.external_bridge,
        "external_gateway": cloud.config.external_gateway,
        "uplink_mtu": cloud.machine.uplink_mtu,
        "kvm": cloud.kvm,
        "machine": cloud.machine.resources,
    }


def upkeep(cloud: Cloud) -> dict[str, Any]:
    """Whether the supervisor answers and has its reaper, and its word on each service."""
    supervisor = choice.of(cloud, registry.services(cloud)).supervisor
    if not supervisor.alive():
        return {"alive": False, "reaped": False, "services": {}, "deaths": {}}
    states = {name: process.state for name, process in supervisor.processes().items()}
    ended = {name: restarts.deaths(cloud.layout, name) for name in states}
    return {
        "alive": True,
        "reaped": supervisor.reaped(),
        "services": states,
        "deaths": {name: count for name, count in ended.items() if count >= restarts.MANY},
    }


def hash_ring(cloud: Cloud) -> dict[str, int]:
    """How many processes of Neutron's API share out OVN's events, and how many were heard of of late."""
    with databases.root_session(cloud) as cursor:
        # HASH_RING_NODES_TIMEOUT in neutron/common/ovn/constants.py.
        cursor.execute(
            "SELECT COUNT(*), COALESCE(SUM(updated_at > UTC_TIMESTAMP() - INTERVAL 60 SECOND), 0) "
            "FROM neutron.ovn_hash_ring WHERE group_name = 'mechanism_driver'"
        )
        ((nodes, alive),) = cursor.fetchall()
    return {"nodes": int(nodes), "alive": int(alive)}


def folders(cloud: Cloud) -> list[dict[str, str]]:
    """The services' folders that are missing, or that the users who work there cannot enter or write to."""
    users: dict[Path, str] = {}
    for service in registry.services(cloud).values():
        for folder in service.folders:
            # One that several declare belongs to the one that is not root.
            users[folder.path] = users.get(folder.path) or service.user
    return [found for path, user in sorted(users.items()) for found in closed(path, user=user or "root")]


def closed(folder: Path, *, user: str) -> list[dict[str, str]]:
    """What keeps a user from working in a folder: nothing, or the one place where it ends."""
    if not folder.is_dir():
        return [{"path": str(folder), "user": user, "at": str(folder), "lacks": "existence"}]
    try:
        known = pwd.getpwnam(user)
    except KeyError:
        return [{"path": str(folder), "user": user, "at": str(folder), "lacks": "its user"}]
    groups = os.getgrouplist(user, known.pw_gid)
    for place in reversed(folder.parents):
        if not _may(place, _ENTER, uid=known.pw_uid, groups=groups):
            return [{"path": str(folder), "user": user, "at": str(place), "lacks": "entry"}]
    if not _may(folder, _WRITE | _ENTER, uid=known.pw_uid, groups=groups):
        return [{"path": str(folder), "user": user, "at": str(folder), "lacks": "writing"}]
    return []


def _may(place: Path, bits: int, *, uid: int, groups: Iterable[int]) -> bool:
    if uid == 0:
        return True
    seen = place.stat()
    shift = 6 if seen.st_uid == uid else 3 if seen.st_gid in groups else 0
    return seen.st_mode >> shift & bits == bits
