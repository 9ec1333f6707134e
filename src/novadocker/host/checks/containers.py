# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""The Docker daemon that servers are on, their interfaces' checksums, and the images they come from."""

from collections import defaultdict
from typing import Any

from novadocker.host.checks.model import Check, Trouble
from novadocker.host.evidence.model import Evidence

# What `docker info` warns of that a flavor's limits depend on.
_LIMITS = ("No memory limit support", "No cpu cfs quota support", "No cpu cfs period support",
           "No pids limit support")  # fmt: skip


def groups(evidence: Evidence) -> list[Trouble]:
    """A daemon that wants systemd to make its control groups, where systemd is not process 1."""
    first = evidence["kernel"]["first_process"]
    return [
        Trouble(
            seen=(f"{engine['socket']}: native.cgroupdriver=systemd", f"process 1 is {first}"),
            cause="Docker asks systemd for control groups, and there is none: no container starts.",
            fix='Put "exec-opts": ["native.cgroupdriver=cgroupfs"] into daemon.json, and restart dockerd.',
        )
        for engine in evidence["engines"]
        if engine["facts"].get("CgroupDriver") == "systemd" and first != "systemd"
    ]


def confinement(evidence: Evidence) -> list[Trouble]:
    """A daemon on which a server's container is held less than it should be."""
    driven = [
        each for each in evidence["services"] if "docker" in each["options"].get("DEFAULT.compute_driver", "")
    ]
    if not driven:
        return []
    troubles = []
    for engine in evidence["engines"]:
        facts = engine["facts"]
        kept = {str(each).removeprefix("name=").split(",")[0] for each in facts.get("SecurityOptions") or ()}
        lacking = [name for name in ("userns", "seccomp") if name not in kept]
        if lacking:
            troubles.append(
                Trouble(
                    seen=(f"{engine['socket']}: security options {', '.join(sorted(kept)) or 'none'}",),
                    cause=f"Servers' containers run without {' and '.join(lacking)}: root inside is "
                    "nearer to root outside than it need be.",
                    fix='Put "userns-remap": "default" into daemon.json, and restart dockerd.',
                    severe=False,
                )
            )
        unlimited = [each for each in facts.get("Warnings") or () if any(one in each for one in _LIMITS)]
        if unlimited:
            troubles.append(
                Trouble(
                    seen=tuple(unlimited),
                    cause="This kernel does not hold containers to their flavors' limits.",
                    fix="Boot with cgroup_enable=memory, or a kernel with these controllers.",
                )
            )
    return troubles


def checksums(evidence: Evidence) -> list[Trouble]:
    """Interfaces that leave checksums to a device, in userspace, where there is none: TCP does not work."""
    by_server: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for each in evidence["offloads"]:
        if each["checksums"]:
            by_server[each["server"]].append(each)
    return [
        Trouble(
            seen=tuple(f"{each['device']} in the namespace of process {each['pid']}" for each in found),
            cause=f"Server {server} answers pings and no TCP: its checksums are left to a device, and the "
            "userspace datapath has none.",
            fix="; ".join(
                f"nsenter --net=/proc/{each['pid']}/ns/net -- ethtool -K {each['device']} tx off"
                for each in found
            ),
            safe=True,
        )
        for server, found in sorted(by_server.items())
    ]


def images(evidence: Evidence) -> list[Trouble]:
    """Images of containers that no server will come from."""
    machine = evidence["kernel"]["architecture"]
    troubles = []
    for image in evidence["images"]:
        why = _why_not(image, machine) if image["status"] == "active" else ""
        if why:
            troubles.append(
                Trouble(
                    seen=(f"image {image['id']}, {image['size']} bytes",),
                    cause=f"No container can be made of image {image['name']}: {why}.",
                    fix=_remedy(image, why),
                    severe=False,
                )
            )
    return troubles


def _why_not(image: dict[str, Any], machine: str) -> str:
    archive = image["archive"]
    if archive is None or archive["kind"] == "packed":
        return ""
    if archive["kind"] == "nothing":
        return "it is no archive that `docker save` writes"
    fitting = [each for each in archive["images"] if each["architecture"] in (machine, "")]
    if not fitting:
        built = ", ".join(sorted({each["architecture"] for each in archive["images"]})) or "nothing"
        return f"it is built for {built}, and this machine is {machine}"
    if not any(each["os"] in ("linux", "") for each in fitting):
        return "it is not for Linux"
    if not image["command"] and not any(each["command"] for each in fitting):
        return "nothing says what is to run in it"
    return ""


def _remedy(image: dict[str, Any], why: str) -> str:
    if why.startswith("nothing"):
        return f"openstack image set --property os_command_line='COMMAND' {image['id']}"
    return f"openstack image delete {image['id']}   # upload what `docker save` writes here"


CHECKS = (
    Check(id="docker-control-groups", asks="Can Docker make its control groups?", judge=groups),
    Check(id="docker-confinement", asks="Does Docker hold containers as it should?", judge=confinement),
    Check(id="checksum-offload", asks="Are containers' TCP checksums right?", judge=checksums),
    Check(id="unbootable-images", asks="Can a server come from every image of a container?", judge=images),
)
