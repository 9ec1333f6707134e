# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""What goes into a bundle: files by pattern, logs' ends, what programs show. Looking changes nothing."""

import importlib.metadata
import os
import platform
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from novadocker import __version__, run
from novadocker.host import journal
from novadocker.host.evidence import engine, switch
from novadocker.host.evidence.model import NotSeen
from novadocker.host.services.model import Cloud

_PROJECTS = ("keystone", "glance", "placement", "nova", "neutron")
_LOGGERS = (*_PROJECTS, "openvswitch", "ovn", "libvirt")
_MOST_CONFIGURATION = 1 << 20

Part = Callable[[], str]


def configuration(cloud: Cloud | None, evidence: Mapping[str, Any]) -> dict[str, Path]:
    """The files services are configured by, under the names they get: ours, or those of somebody else's."""
    if cloud is not None:
        return {f"config/{path.relative_to(cloud.layout.etc)}": path for path in _files(cloud.layout.etc)}
    named = {Path(name) for service in evidence.get("services", []) for name in service["files"]}
    usual = {path for project in _PROJECTS for path in _files(Path("/etc", project))}
    return {f"config{path}": path for path in sorted(named | usual)}


def _files(folder: Path) -> list[Path]:
    found = (Path(place, name) for place, _, names in os.walk(folder) for name in names)
    return sorted(path for path in found if path.is_file() and path.stat().st_size <= _MOST_CONFIGURATION)


def key_material(cloud: Cloud) -> Iterator[str]:
    """What of ours is secret and stands in no configuration file."""
    yield from map(str, cloud.secrets.values.values())
    for folder in ("keystone/fernet-keys", "keystone/credential-keys", "keys"):
        for path in _files(cloud.layout.data / folder):
            lines = path.read_text(errors="replace").splitlines() if not path.suffix else []
            yield from (line for line in lines if not line.startswith("-----"))


def logs(cloud: Cloud | None) -> dict[str, Path]:
    """The logs under the names they get; rotated parts belong to theirs."""
    folders = [cloud.layout.logs] if cloud else [Path("/var/log", name) for name in _LOGGERS]
    above = cloud.layout.logs if cloud else Path("/var/log")
    return {
        f"logs/{path.relative_to(above)}": path
        for folder in folders
        for path in _files_of_any_size(folder)
        if path.suffix == ".log"
    }


def _files_of_any_size(folder: Path) -> list[Path]:
    return sorted(Path(place, name) for place, _, names in os.walk(folder) for name in names)


def end_of(log: Path, *, size: int) -> str:
    """The last `size` bytes of a log, its rotated parts included, from the beginning of a line on."""
    kept = b""
    for part in reversed(journal.parts(log)):
        with part.open("rb") as stream:
            stream.seek(max(0, part.stat().st_size - (size + 1 - len(kept))))
            kept = stream.read() + kept
        if len(kept) > size:
            # Half a line may hold half a secret, which nobody would know for one.
            kept = kept[-size - 1 :].partition(b"\n")[2]
            break
    return kept.decode(errors="replace")


def versions() -> dict[str, Any]:
    """What is installed."""
    release = platform.freedesktop_os_release() if Path("/etc/os-release").is_file() else {}
    packages = run.run(["dpkg-query", "-W"], check=False).out if run.found("dpkg-query") else ""
    return {
        "nova-docker": __version__,
        "python": platform.python_version(),
        "kernel": platform.release(),
        "machine": platform.machine(),
        "system": release.get("PRETTY_NAME", platform.system()),
        "zone": f"{time.strftime('%Z')} ({time.strftime('%z')}); the cloud's own logs are in UTC",
        "wheels": dict(
            sorted((each.metadata["Name"], each.version) for each in importlib.metadata.distributions())
        ),
        "packages": dict(line.split("\t", 1) for line in packages.splitlines() if not line.endswith("\t")),
    }


def shown(cloud: Cloud | None, evidence: Mapping[str, Any]) -> dict[str, Part]:
    """What programs show of the machine, by the name each gets."""
    ovs = cloud.layout.ovs_socket if cloud else switch.USUAL_SOCKET
    docker = cloud.layout.docker_socket if cloud else engine.USUAL_SOCKET
    commands: dict[str, list[str | Path]] = {
        "addresses": ["ip", "-d", "address"],
        "routes": ["ip", "route", "show", "table", "all"],
        "rules": ["ip", "rule"],
        "listeners": ["ss", "-lntup"],
        "iptables": ["iptables-save"],
        "ip6tables": ["ip6tables-save"],
        "nft": ["nft", "list", "ruleset"],
        "loops": ["losetup", "--list"],
        "mounts": ["cat", "/proc/self/mountinfo"],
        "memory": ["cat", "/proc/meminfo"],
        "processes": ["ps", "-ww", "--sort=pid", "-eo", "pid,ppid,user,stat,rss,etime,args"],
        "kernel": ["dmesg", "--time-format", "iso"],
        "switch": ["ovs-vsctl", f"--db=unix:{ovs}", "--timeout=10", "show"],
        "containers": ["docker", "-H", f"unix://{docker}", "ps", "--all", "--no-trunc"],
    }
    for bridge in [each for one in evidence.get("switches", []) for each in one["bridges"]]:
        name = bridge["name"]
        commands[f"flows-{name}"] = ["ovs-ofctl", "dump-flows", f"unix:{ovs.parent}/{name}.mgmt"]
    if cloud is not None:
        north, south = cloud.layout.ovn_nb_socket, cloud.layout.ovn_sb_socket
        commands["ovn-northbound"] = ["ovn-nbctl", f"--db=unix:{north}", "--timeout=10", "show"]
        commands["ovn-southbound"] = ["ovn-sbctl", f"--db=unix:{south}", "--timeout=10", "show"]
    if run.found("journalctl"):
        commands["journal"] = ["journalctl", "--utc", "-o", "short-iso-precise", "-n", "20000", "--no-pager"]
    return {f"machine/{name}.txt": _asking(words) for name, words in sorted(commands.items())}


def _asking(words: list[str | Path]) -> Part:
    def ask() -> str:
        done = run.run(words, check=False, seconds=30)
        if done.code != 0:
            raise NotSeen(f"{words[0]} ended with {done.code}: {done.err.strip()[-200:]}")
        return done.out

    return ask
