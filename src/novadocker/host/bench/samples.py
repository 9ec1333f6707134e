# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""Take a sample of all that a server could leave behind: in services, in the kernel, in files."""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from novadocker.errors import NovaDockerError
from novadocker.host import links, mounts
from novadocker.host.bench.floor_engine import Engine
from novadocker.host.bench.growth import ALL, Sample
from novadocker.host.bench.weight import MIB, SERVERS, Scales
from novadocker.host.evidence import switch
from novadocker.host.evidence.model import NotSeen
from novadocker.host.services import registry
from novadocker.host.services.model import Cloud

# Of an older part of a log.
_NUMBER = re.compile(r"\.\d+$")


class Sampler:
    """Looks at one cloud.

    :param engine: its dockerd.
    """

    def __init__(self, cloud: Cloud, scales: Scales, engine: Engine) -> None:
        self._cloud = cloud
        self._scales = scales
        self._engine = engine
        # supervisord rotates its own log as it does those of the services.
        self._rotated = {f"{name}.log" for name in (*registry.services(cloud), "supervisor")}

    def take(self, servers: int, *, seconds: float | None = None) -> Sample:
        """Look once, while no server of the instrument is there.

        :param servers: how many had come and gone.
        :param seconds: until the last of them were ACTIVE, usually; None where none was.
        :raises NovaDockerError: if dockerd or the switch does not answer.
        """
        pss = {name: size / MIB for name, size in self._scales.weigh().pss.items()}
        descriptors, threads = self._scales.descriptors(), self._scales.threads()
        logs = sizes(self._cloud.layout.logs)
        figures: dict[str, Mapping[str, float]] = {
            "pss_mib": summed(pss),
            "descriptors": summed(descriptors),
            "threads": summed(threads),
            "things": self._things(),
            "log_bytes": {ALL: sum(logs.values())},
            "unrotated_bytes": unrotated(logs, rotated=self._rotated),
            "database_bytes": {ALL: sum(sizes(self._cloud.layout.data / "mariadb").values())},
        }
        if seconds is not None:
            figures["seconds"] = {"ACTIVE": seconds}
        return Sample(servers=servers, figures=figures)

    def _things(self) -> dict[str, float]:
        layout = self._cloud.layout
        try:
            ports = switch.ports(layout.ovs_socket)
        except NotSeen as error:
            raise NovaDockerError("The switch does not tell its ports.", facts=str(error)) from error
        pids = self._scales.pids()
        mounted = _mounted(pids, (layout.root, layout.run))
        return {
            "network namespaces": len(_namespaces(pids, mounted)),
            "interfaces": len(links.ours(ports, alias_prefix=f"nova-docker:{self._cloud.docker_host}:")),
            "switch ports": len(ports),
            "containers": self._engine.count(),
            "mounts": sum(len(points) for points in mounted.values()),
        }


def summed(by_service: Mapping[str, float]) -> dict[str, float]:
    """The same, with the sum of all; what runs in servers is not the cloud's, and is left out."""
    own = {name: value for name, value in by_service.items() if name != SERVERS}
    return {ALL: sum(own.values()), **own}


def sizes(folder: Path) -> dict[str, int]:
    """Bytes of each file in a folder and below, by its path in there."""
    found = {}
    for path in folder.rglob("*"):
        try:
            if path.is_file() and not path.is_symlink():
                found[str(path.relative_to(folder))] = path.stat().st_size
        except FileNotFoundError:
            continue  # it was rotated, or dropped, meanwhile
    return found


def unrotated(logs: Mapping[str, int], *, rotated: Iterable[str]) -> dict[str, float]:
    """Those of some logs that nobody rotates.

    :param rotated: names of logs that are; their older parts have a number behind that.
    """
    known = set(rotated)
    return {path: size for path, size in logs.items() if _NUMBER.sub("", path) not in known}


def _mounted(pids: Iterable[int], folders: tuple[Path, ...]) -> dict[int, list[Path]]:
    """Where something is mounted below folders, in each mount namespace, by a process that is in it.

    Services that have one of their own hold mounts that nobody else sees.
    """
    found: dict[int, list[Path]] = {}
    seen = set()
    for pid in sorted(pids):
        try:
            space = Path(f"/proc/{pid}/ns/mnt").stat().st_ino
            if space not in seen:
                listed = Path(f"/proc/{pid}/mountinfo")
                found[pid] = [point for folder in folders for point in mounts.below(folder, listed=listed)]
                seen.add(space)
        except OSError:
            continue  # it ended meanwhile
    return found


def _namespaces(pids: Iterable[int], mounted: Mapping[int, Iterable[Path]]) -> set[int]:
    """The network namespaces that a process is in, or that are held by a mount, as ip-netns(8) has them."""
    held = [Path(f"/proc/{pid}/root{point}") for pid, points in mounted.items() for point in points]
    places = [
        *(Path(f"/proc/{pid}/ns/net") for pid in pids),
        *(place for place in held if place.parent.name == "netns" or place.name == "net"),
    ]
    found = set()
    for place in places:
        try:
            found.add(place.stat().st_ino)
        except OSError:
            continue  # it went meanwhile
    return found
