# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""The machine itself: its names, its kernel, its room."""

import os
import shutil
import socket
import time
from pathlib import Path
from typing import Any

import psutil

from novadocker import run
from novadocker.host import cgroups, kvm
from novadocker.host.evidence import images, process_table
from novadocker.host.evidence.model import NotSeen

MIB = 1 << 20
_REAPED_SECONDS = 10
_MODULES = ("openvswitch", "vxlan", "geneve", "br_netfilter", "nf_tables", "ip_tables")


def names() -> dict[str, Any]:
    """The machine's names, and the addresses they resolve to."""
    name = socket.gethostname()
    try:
        addresses = sorted({str(found[4][0]) for found in socket.getaddrinfo(name, None)})
    except OSError:
        addresses = []
    return {"hostname": name, "fqdn": socket.getfqdn(), "addresses": addresses}


def kernel() -> dict[str, Any]:
    """Version, process 1, the modules that matter: `loaded`, `built in`, `there` or `absent`."""
    release = os.uname().release
    folder = Path("/lib/modules") / release
    built_in = _names(folder / "modules.builtin")
    there = _names(folder / "modules.dep")
    states = {}
    for name in _MODULES:
        if Path("/sys/module", name).is_dir():
            states[name] = "loaded"
        else:
            states[name] = "built in" if name in built_in else "there" if name in there else "absent"
    return {
        "release": release,
        "architecture": images.architecture(),
        "first_process": psutil.Process(1).name(),
        "modules": states,
    }


def programs() -> dict[str, bool]:
    """Programs that services may look for, and whether they are on the path."""
    return {"sudo": run.found("sudo")}


def _names(index: Path) -> set[str]:
    if not index.is_file():
        return set()
    paths = (line.split(":")[0] for line in index.read_text().splitlines())
    return {Path(path).name.split(".")[0].replace("-", "_") for path in paths}


def virtualisation() -> dict[str, Any]:
    """Whether the device of KVM is there, and whether it works."""
    return {"device": kvm.DEVICE.exists(), "works": kvm.usable()}


def control_groups() -> dict[str, Any]:
    """The hierarchies that are mounted, and whether they can be written to."""
    mounts = []
    for each in cgroups.mounted():
        controllers = each.place / "cgroup.controllers"
        mounts.append(
            {
                "kind": each.kind,
                "place": str(each.place),
                "writable": each.writable,
                "controllers": controllers.read_text().split() if controllers.is_file() else [],
            }
        )
    return {"mounts": mounts}


def room(folder: Path) -> dict[str, Any]:
    """Free disk at `folder` and in /run, memory, and the kernel's tables that fill up."""
    there = next(place for place in (folder, *folder.parents) if place.exists())
    disk, run_disk, memory = shutil.disk_usage(there), shutil.disk_usage("/run"), psutil.virtual_memory()
    return {
        "disk": {"place": str(there), "total_mb": disk.total // MIB, "free_mb": disk.free // MIB},
        "run": {"total_mb": run_disk.total // MIB, "free_mb": run_disk.free // MIB},
        "memory": {"total_mb": memory.total // MIB, "available_mb": memory.available // MIB},
        "conntrack": {
            "used": _number("/proc/sys/net/netfilter/nf_conntrack_count"),
            "most": _number("/proc/sys/net/netfilter/nf_conntrack_max"),
        },
        "inotify_instances": _number("/proc/sys/fs/inotify/max_user_instances"),
        "processes": {"used": len(psutil.pids()), "most": _number("/proc/sys/kernel/pid_max")},
    }


def orphans() -> dict[str, Any]:
    """Whether process 1 reaps: the dead that have been waiting for it for longer than it takes."""
    dead = 0
    for seen in process_table.rows("ppid", "status", "create_time"):
        if seen["ppid"] == 1 and seen["status"] == psutil.STATUS_ZOMBIE:
            dead += time.time() - seen["create_time"] > _REAPED_SECONDS
    return {"dead": dead}


def settings() -> dict[str, int | None]:
    """The sysctls that decide whether servers' traffic gets anywhere."""
    return {
        "net.ipv4.ip_forward": _number("/proc/sys/net/ipv4/ip_forward"),
        "net.bridge.bridge-nf-call-iptables": _number("/proc/sys/net/bridge/bridge-nf-call-iptables"),
        "net.bridge.bridge-nf-call-ip6tables": _number("/proc/sys/net/bridge/bridge-nf-call-ip6tables"),
    }


def forwarding() -> dict[str, list[str]]:
    """The rules that decide on forwarded packets, by the program that shows them; of `nft` the chains."""
    found = {}
    if run.found("nft"):
        done = run.run(["nft", "list", "chains"], check=False, seconds=20)
        if done.code == 0:
            found["nft"] = done.out.splitlines()
    for program in ("iptables", "ip6tables"):
        if run.found(program):
            done = run.run([program, "-w", "-S", "FORWARD"], check=False, seconds=20)
            if done.code == 0:
                found[program] = done.out.splitlines()
    if not found.keys() - {"nft"}:
        raise NotSeen("there is no iptables, or it may not be asked (root may)")
    return found


def links() -> list[dict[str, Any]]:
    """Interfaces with their MTU and IPv4 networks."""
    states, addresses = psutil.net_if_stats(), psutil.net_if_addrs()
    return [
        {
            "name": name,
            "mtu": state.mtu,
            "up": state.isup,
            "addresses": [
                f"{each.address}/{each.netmask}"
                for each in addresses.get(name, [])
                if each.family == socket.AF_INET
            ],
        }
        for name, state in sorted(states.items())
    ]


def _number(path: str) -> int | None:
    try:
        return int(Path(path).read_text())
    except (OSError, ValueError):
        return None
