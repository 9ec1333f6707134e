# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""What a reboot, a crash or a careless hand takes from a cloud of ours, and `up` brings back."""

from novadocker.host.checks.model import Check, Trouble
from novadocker.host.evidence.model import Evidence

# What it says of a service that is on its way.
_WELL = ("RUNNING", "STARTING")


def remembered(evidence: Evidence) -> list[Trouble]:
    """Files by which the cloud knows itself that cannot be read."""
    damage = evidence["damaged"]
    if not damage:
        return []
    return [
        Trouble(
            seen=tuple(damage.splitlines()),
            cause="What is remembered of the cloud cannot be read: no command of ours can work with it.",
            fix="Put the file back from a copy; or: nova-docker down && nova-docker up, anew.",
        )
    ]


def stopped(evidence: Evidence) -> list[Trouble]:
    """A cloud whose services do not run, as after a reboot."""
    if not evidence["ours"]:
        return []
    upkeep = evidence["upkeep"]
    if not upkeep["alive"]:
        return [
            Trouble(
                seen=("the supervisor does not answer",),
                cause="The cloud is here, and its services are not supervised: the machine was restarted, or "
                "the supervisor was killed.",
                fix="nova-docker up",
                safe=True,
            )
        ]
    ill = {name: state for name, state in upkeep["services"].items() if state not in _WELL}
    if not ill:
        return []
    return [
        Trouble(
            seen=tuple(f"{name}: {state.lower()}" for name, state in sorted(ill.items())),
            cause=f"Services of the cloud do not run: {', '.join(sorted(ill))}.",
            fix="nova-docker up",
            safe=True,
        )
    ]


def restless(evidence: Evidence) -> list[Trouble]:
    """Services that end again and again, and are started again each time."""
    if not evidence["ours"]:
        return []
    return [
        Trouble(
            seen=(f"{name} ended {count} times within ten minutes",),
            cause=f"{name} does not stay up: it works for a moment at most.",
            fix=f"nova-docker logs {name} says why; then: nova-docker up",
        )
        for name, count in sorted(evidence["upkeep"]["deaths"].items())
    ]


def reaper(evidence: Evidence) -> list[Trouble]:
    """Nobody reaps orphans: libvirt waits for the end of its probes in vain, for most of a minute."""
    if evidence["ours"]:
        upkeep = evidence["upkeep"]
        if not upkeep["alive"] or upkeep["reaped"]:
            return []
        return [
            Trouble(
                seen=("the supervisor's parent is no reaper",),
                cause="The process that reaps orphans was killed: libvirt waits for each of its probes.",
                fix="nova-docker up",
                safe=True,
            )
        ]
    dead = evidence["orphans"]["dead"]
    waiting = [each for each in evidence["processes"] if each["program"] == "libvirtd"]
    if not dead or not waiting:
        return []
    return [
        Trouble(
            seen=(f"{dead} dead processes wait for process 1", f"libvirtd is process {waiting[0]['pid']}"),
            cause="Process 1 does not reap: libvirt waits for the end of each probe, and a VM's start "
            "takes most of a minute.",
            fix="Run libvirtd below a reaper (`tini -s -- libvirtd`), or the container with `--init`.",
        )
    ]


def folders(evidence: Evidence) -> list[Trouble]:
    """Folders in which their services cannot work: MariaDB, RabbitMQ and the rest refuse to start."""
    if not evidence["ours"]:
        return []
    troubles = []
    for found in evidence["folders"]:
        inside = found["at"] == found["path"]
        troubles.append(
            Trouble(
                seen=(f"{found['path']} is for the user {found['user']}",),
                cause=f"The user {found['user']} cannot work in {found['path']}: it lacks "
                + (found["lacks"] if inside else f"entry to {found['at']}")
                + ".",
                # Ours get their owner and mode from `up`; what is above them is somebody else's.
                fix="nova-docker up" if inside else f"chmod o+x {found['at']}",
                safe=inside,
            )
        )
    return troubles


def external_bridge(evidence: Evidence) -> list[Trouble]:
    """The bridge to the outside without its address, as after a reboot."""
    ours = evidence["ours"]
    if not ours:
        return []
    links = {link["name"]: link for link in evidence["links"]}
    bridge, gateway = ours["external_bridge"], ours["external_gateway"]
    if bridge not in links:
        seen = "there is no such interface"
    elif not any(address.startswith(f"{gateway}/") for address in links[bridge]["addresses"]):
        seen = f"it has {', '.join(links[bridge]['addresses']) or 'no address'}, and not {gateway}"
    elif not links[bridge]["up"]:
        seen = "it is down"
    else:
        return []
    return [
        Trouble(
            seen=(f"{bridge}: {seen}",),
            cause="Floating IPs lead nowhere: the bridge they are behind is not as it should be.",
            fix="nova-docker up",
            safe=True,
        )
    ]


def servers(evidence: Evidence) -> list[Trouble]:
    """Servers Nova holds for running whose container or domain does not run."""
    containers = {
        container["server"]: container
        for engine in evidence["engines"]
        for container in engine["containers"]
        if container["role"] == "workload"
    }
    domains = {domain["id"]: domain for domain in evidence["domains"]}
    troubles = []
    for server in evidence["servers"]:
        if server["status"] != "ACTIVE" or server["task"]:
            continue
        container, domain = containers.get(server["id"]), domains.get(server["id"])
        lost = server["host"] == evidence["ours"].get("docker_host") and container is None
        if lost:
            seen = "it has no container"
        elif container is not None and container["state"] != "running":
            seen = f"{container['name']}: {container['status']}"
        elif domain is not None and not domain["running"]:
            seen = f"domain {domain['name']} does not run"
        else:
            continue
        troubles.append(
            Trouble(
                seen=(seen,),
                cause=f"Nova holds server {server['name']} for running, and it is not.",
                fix=f"openstack server reboot --hard {server['id']}",
            )
        )
    return troubles


CHECKS = (
    Check(id="cloud-files", asks="Can what is remembered of the cloud be read?", judge=remembered),
    Check(id="services-stopped", asks="Do the cloud's services run?", judge=stopped),
    Check(id="services-restless", asks="Do the cloud's services stay up?", judge=restless),
    Check(id="reaper", asks="Does somebody reap what libvirt leaves behind?", judge=reaper),
    Check(id="folders", asks="Can every service work in its folders?", judge=folders),
    Check(id="external-bridge", asks="Has the bridge to the outside its address?", judge=external_bridge),
    Check(id="servers-not-running", asks="Does every running server run?", judge=servers),
)
