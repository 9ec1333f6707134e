# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""The processes that make a cloud, whoever's they are, and those that hold a container's mounts."""

import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import psutil

from novadocker.host.evidence import process_table
from novadocker.host.evidence.model import NotSeen
from novadocker.host.services.neutron import WORKERS
from novadocker.host.services.nova import CONTROL
from novadocker.host.services.shared import SINGLE

# Programs by which a check knows whom it meets; the word stands in the name or in an argument's last part.
_PROGRAMS = (
    "neutron-openvswitch-agent", "neutron-ovn-agent", "neutron-ovn-metadata-agent", "nova-compute",
    "neutron-server", "neutron-api", "neutron-ovn-maintenance-worker", "neutron-periodic-workers",
    "neutron-rpc-server", "nova-scheduler",
    "ovn-controller", "ovs-vswitchd", "ovsdb-server", "dockerd", "containerd", "libvirtd", "firewalld", "k3s",
    "kubelet", "incusd", "lxd", "podman", "beam.smp", "mariadbd", "mysqld",
)  # fmt: skip
# What a WSGI server is told to serve, and Python to run: the program is another's then.
_APPLICATIONS = {"neutron.wsgi.api": "neutron-api", WORKERS: "neutron-workers", CONTROL: "nova-scheduler"}
# What services find their files by, and what Neutron counts its workers by; no other variable is read.
_VARIABLES = ("OS_NEUTRON_CONFIG_DIR", "OS_NEUTRON_CONFIG_FILES", "ASGI_WORKERS")
# oslo.service's "nova-scheduler: master process [COMMAND]", Neutron's "neutron-server: api worker (COMMAND)"
# and "neutron-openvswitch-agent (COMMAND)".
_TITLE = re.compile(r"[a-z-]+:? [^\[(]*[\[(](?P<command>/.*)[\])]")
_UNIT = re.compile(r"/([^/]+\.(?:service|scope))(?:/|$)")


def programs() -> list[dict[str, Any]]:
    """The processes of those programs, each with its arguments, systemd unit and namespaces."""
    found = []
    for row in process_table.rows("pid", "name", "cmdline", "ppid"):
        words = _words(row["cmdline"] or [])
        name = _program(row["name"], words)
        if name:
            found.append(
                {
                    "pid": row["pid"],
                    "parent": row["ppid"],
                    "program": name,
                    "words": words,
                    "unit": unit(row["pid"]),
                    "network": _namespace(row["pid"], "net"),
                    "environment": _environment(row["pid"]),
                }
            )
    # Workers are what their master is.
    masters = {(each["pid"], each["program"]) for each in found}
    return [each for each in found if (each["parent"], each["program"]) not in masters]


def _words(shown: list[str]) -> list[str]:
    """What a process was started with, also where it has given itself a title that quotes it."""
    # psutil parts a title at its spaces.
    title = _TITLE.fullmatch(" ".join(shown).strip())
    words = title["command"].split() if title else shown
    return [words[0], *words[4:]] if tuple(words[1:4]) == SINGLE else words


def _program(name: str, words: list[str]) -> str:
    # A script's interpreter stands before it: the program may be the second word.
    heads = [name, *(Path(word).name for word in words[:2])]
    served = (_APPLICATIONS.get(word.split(":")[0], "") for word in words)
    return next((program for program in _PROGRAMS if program in heads), "") or next(filter(None, served), "")


def _environment(pid: int) -> dict[str, str]:
    try:
        seen = psutil.Process(pid).environ()
    except psutil.Error:
        return {}
    # PATH says that there was an environment to see.
    return {name: seen[name] for name in (*_VARIABLES, "PATH") if name in seen}


def unit(pid: int) -> str:
    """The systemd unit a process belongs to, by its control group; empty outside of any."""
    try:
        text = Path(f"/proc/{pid}/cgroup").read_text()
    except OSError:
        return ""
    found = _UNIT.findall(text)
    return found[-1] if found else ""


def holders(folders: Iterable[Path]) -> list[dict[str, Any]]:
    """Processes whose mount namespaces keep mounts below `folders` whatever becomes of them elsewhere.

    One entry a namespace: its first process stands for all. A mount that follows another namespace's (a
    `master:` or `shared:` field in proc_pid_mountinfo(5)) goes when that one goes, and holds nothing.
    `stale` are those that this namespace has no more; `sources` says what is mounted: a device, or `nsfs`
    for a namespace that is kept by its mount.

    :raises NotSeen: where other processes' mounts may not be read.
    """
    if os.geteuid() != 0:
        raise NotSeen("only root sees other processes' mounts")
    roots = tuple(str(folder).rstrip("/") + "/" for folder in folders)
    own = _namespace(os.getpid(), "mnt")
    here = {line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()}
    seen: dict[str, dict[str, Any]] = {}
    for pid in psutil.pids():
        namespace = _namespace(pid, "mnt")
        if not namespace or namespace == own or namespace in seen:
            continue
        try:
            lines = Path(f"/proc/{pid}/mountinfo").read_text().splitlines()
            name = Path(f"/proc/{pid}/comm").read_text().strip()
        except OSError:  # it ended
            continue
        held = {
            line.split()[4]: line.partition(" - ")[2].split()[1]
            for line in lines
            if line.split()[4].startswith(roots) and not _follows(line)
        }
        stale = [place for place in held if place not in here]
        seen[namespace] = {
            "pid": pid, "name": name, "unit": unit(pid),
            "mounts": list(held), "stale": stale, "sources": held,
        }  # fmt: skip
    return [found for found in seen.values() if found["mounts"]]


def _follows(line: str) -> bool:
    return any(word.startswith(("master:", "shared:")) for word in line.partition(" - ")[0].split()[6:])


def _namespace(pid: int, kind: str) -> str:
    try:
        return str(Path(f"/proc/{pid}/ns/{kind}").readlink())
    except OSError:
        return ""
