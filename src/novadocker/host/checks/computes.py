# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""The nova-compute services: who they are, whether they report, what they offer."""

import re
from collections import defaultdict

from novadocker.host import capacity
from novadocker.host.checks.model import Check, Trouble
from novadocker.host.evidence.model import Evidence

# instance_name_template's default; a user's own domains are called otherwise.
_NOVAS = re.compile(r"instance-[0-9a-f]{8}")


def shared_identity(evidence: Evidence) -> list[Trouble]:
    """One compute_id for two services, or two for one: Nova refuses to start.

    Source: nova/virt/node.py (read from the folder of every configuration file and from state_path).
    """
    users: dict[str, list[str]] = defaultdict(list)
    troubles = []
    for service in evidence["services"]:
        if service["program"] != "nova-compute":
            continue
        name = service["options"].get("DEFAULT.host") or f"process {service['pid']}"
        found = service["compute_ids"]
        for path in found:
            users[path].append(name)
        if len(set(found.values())) > 1:
            troubles.append(
                Trouble(
                    seen=tuple(f"{path}: {value}" for path, value in sorted(found.items())),
                    cause=f"nova-compute {name} finds two identities, and will not start again.",
                    fix="Keep the one whose id `openstack hypervisor list` shows, and remove the other file.",
                )
            )
        # It is written there at the first start; one that is gone cannot be made again for a known service.
        if (
            not found
            and service["options"].get("DEFAULT.state_path")
            and service["options"].get("DEFAULT.host")
        ):
            troubles.append(
                Trouble(
                    seen=(f"no compute_id in {service['options']['DEFAULT.state_path']}",),
                    cause=f"nova-compute {name} has lost its identity, and will not start again.",
                    fix="Write the id that `openstack hypervisor list` shows into compute_id in that folder.",
                )
            )
    for path, names in sorted(users.items()):
        if len(names) > 1:
            troubles.append(
                Trouble(
                    seen=(f"{path} is read by {', '.join(names)}",),
                    cause="Two nova-compute services share one identity: the second refuses to start "
                    "('Possible rename detected').",
                    fix="Give each a state_path of its own; keep compute_id out of folders both read.",
                )
            )
    return troubles


def renamed(evidence: Evidence) -> list[Trouble]:
    """A machine that is called otherwise than its services and its chassis."""
    ours = evidence["ours"]
    chassis = {
        str(switch["external_ids"]["hostname"])
        for switch in evidence["switches"]
        if switch["external_ids"].get("hostname")
    }
    troubles = []
    if ours and chassis and ours["hostname"] not in chassis:
        troubles.append(
            Trouble(
                seen=(
                    f"the chassis calls itself {', '.join(sorted(chassis))}",
                    f"ports are bound to '{ours['hostname']}'",
                ),
                cause="The chassis has another name than the one ports are bound to: no port becomes ready.",
                fix="nova-docker up   # writes the chassis' name anew",
                safe=True,
            )
        )
    troubles += _unpinned(evidence, chassis) if not ours else []
    return troubles


def _unpinned(evidence: Evidence, chassis: set[str]) -> list[Trouble]:
    """Services that go by the machine's name, where that is not what the chassis is called."""
    name = evidence["names"]["hostname"]
    unpinned = [
        each
        for each in evidence["services"]
        if each["program"] == "nova-compute" and not each["options"].get("DEFAULT.host")
    ]
    if not unpinned or not chassis or name in chassis:
        return []
    return [
        Trouble(
            seen=(f"the machine is called '{name}'", f"the chassis '{', '.join(sorted(chassis))}'"),
            cause="nova-compute goes by the machine's name, which is not the chassis': the machine was "
            "renamed, or DHCP names it. No port becomes ready, and Nova refuses a renamed host.",
            fix=f"Set [DEFAULT] host = {min(chassis)} in nova.conf, the name Nova and Neutron know.",
        )
    ]


def down(evidence: Evidence) -> list[Trouble]:
    """Services of Nova that do not report."""
    return [
        Trouble(
            seen=(f"last heard of at {each['seen']}",),
            cause=f"{each['binary']} on {each['host']} does not report: what it should do waits.",
            fix="nova-docker up   # elsewhere: restart it, and look at its log",
        )
        for each in evidence["computes"]
        if each["state"] != "up" and each["status"] != "disabled"
    ]


def unmapped(evidence: Evidence) -> list[Trouble]:
    """A nova-compute that reports and that no cell knows: nothing is ever scheduled to it."""
    known = {each["host"] for each in evidence["hypervisors"]}
    return [
        Trouble(
            seen=(f"nova-compute on {each['host']} is up", "no hypervisor of this host is listed"),
            cause=f"The host {each['host']} is in no cell: the scheduler does not know it.",
            fix="nova-manage cell_v2 discover_hosts   # ours: nova-docker up",
        )
        for each in evidence["computes"]
        if each["binary"] == "nova-compute" and each["state"] == "up" and each["host"] not in known
    ]


def strangers(evidence: Evidence) -> list[Trouble]:
    """Containers of servers Nova does not have: a nova-compute with an empty database refuses to start.

    Source: nova/compute/manager.py, _sanity_check_new_host.
    """
    known = {server["id"] for server in evidence["servers"]}
    lost: dict[str, set[str]] = defaultdict(set)
    for engine in evidence["engines"]:
        for container in engine["containers"]:
            if container["server"] and container["server"] not in known:
                lost[container["server"]].add(container["name"])
    return [
        Trouble(
            seen=tuple(sorted(names)),
            cause=f"These containers are of server {server}, which Nova does not have.",
            fix=f"docker -H unix://{evidence['engines'][0]['socket']} rm -f {' '.join(sorted(names))}",
        )
        for server, names in sorted(lost.items())
    ]


def unknown_domains(evidence: Evidence) -> list[Trouble]:
    """Domains called as Nova calls them, which it does not have: nova-compute refuses to start."""
    known = {server["id"] for server in evidence["servers"]}
    return [
        Trouble(
            seen=(f"domain {domain['name']}, {domain['id']}",),
            cause=f"This domain is of a server Nova does not have: {domain['id']}.",
            fix=f"virsh destroy {domain['id']}; virsh undefine {domain['id']}   # ours: -c "
            "'qemu+unix:///system?socket=/run/nova-docker/libvirt/libvirt-sock'",
        )
        for domain in evidence["domains"]
        if _NOVAS.fullmatch(domain["name"]) and domain["id"] not in known
    ]


def switch_database(evidence: Evidence) -> list[Trouble]:
    """A nova-compute that looks for Open vSwitch's database where nobody listens: no port is plugged."""
    if not evidence["switches"]:
        return []
    return [
        Trouble(
            seen=(f"nova-compute, process {each['pid']}: {each['database']['connection']}", *each["files"]),
            cause="Nobody listens where this nova-compute looks for the switch's database: it plugs no port.",
            fix="Set [os_vif_ovs] ovsdb_connection = "
            f"unix:{evidence['switches'][0]['socket']}, and restart it.",
        )
        for each in evidence["services"]
        if each["program"] == "nova-compute" and not each["database"]["answers"]
    ]


def privileged_helper(evidence: Evidence) -> list[Trouble]:
    """A nova-compute that becomes root by sudo, where there is none."""
    if evidence["programs"]["sudo"]:
        return []
    return [
        Trouble(
            seen=(f"nova-compute, process {each['pid']}", "sudo is not installed"),
            cause="This nova-compute becomes root by sudo, which is not there: it plugs no port.",
            fix="Set helper_command of [vif_plug_ovs_privileged], [nova_sys_admin] and [privsep_osbrick] to "
            "`privsep-helper --config-file …`, or install sudo.",
        )
        for each in evidence["services"]
        if each["program"] == "nova-compute"
        and not each["options"].get("vif_plug_ovs_privileged.helper_command")
    ]


def image_kinds(evidence: Evidence) -> list[Trouble]:
    """Two kinds of hypervisors, and a scheduler that does not tell their images apart."""
    types = {each["type"] for each in evidence["hypervisors"]}
    if "docker" not in types or types == {"docker"}:
        return []
    return [
        Trouble(
            seen=(f"nova-scheduler, process {each['pid']}", f"hypervisors: {', '.join(sorted(types))}"),
            cause="The scheduler sends images of containers to hypervisors of VMs, and the other way round.",
            fix="Add ImageKindFilter to [filter_scheduler] enabled_filters, and "
            "novadocker.scheduler.image_kind.ImageKindFilter to available_filters.",
        )
        for each in evidence["services"]
        if each["program"] == "nova-scheduler"
        and "ImageKindFilter" not in each["options"].get("filter_scheduler.enabled_filters", "")
    ]


def orphaned_allocations(evidence: Evidence) -> list[Trouble]:
    """Placement's allocations to servers that are no more: room that nobody has and nobody gets."""
    known = {server["id"] for server in evidence["servers"]}
    known |= {str(each) for each in evidence["migrations"]}
    return [
        Trouble(
            seen=(f"provider {provider['name']}", f"consumer {consumer}"),
            cause=f"Placement holds room for {consumer}, and Nova has no such server.",
            fix=f"openstack resource provider allocation delete {consumer}",
            severe=False,
        )
        for provider in evidence["providers"]
        for consumer in provider["consumers"]
        if consumer not in known
    ]


def overbooked(evidence: Evidence) -> list[Trouble]:
    """Two hypervisors of one machine that offer together more than it has."""
    has = evidence["ours"].get("machine")
    if not has:
        return []
    mine = [each for each in evidence["providers"] if each["name"] in evidence["ours"]["hosts"]]
    offers = {
        kind: [
            each["inventory"][kind]["total"] - each["inventory"][kind]["reserved"]
            for each in mine
            if kind in each["inventory"]
        ]
        for kind in has
    }
    too_much = capacity.overbooked(offers, has)
    if not too_much:
        return []
    return [
        Trouble(
            seen=tuple(too_much),
            cause="The two hypervisors offer more than the machine has: some of it will be given out twice.",
            fix="nova-docker up   # reserves each hypervisor's share on the other side",
            safe=True,
        )
    ]


CHECKS = (
    Check(
        id="compute-identity", asks="Has every nova-compute an identity of its own?", judge=shared_identity
    ),
    Check(id="host-renamed", asks="Are machine, services and chassis called alike?", judge=renamed),
    Check(id="services-down", asks="Do all of Nova's services report?", judge=down),
    Check(id="host-in-no-cell", asks="Does the scheduler know every compute host?", judge=unmapped),
    Check(id="unknown-containers", asks="Are all servers' containers known to Nova?", judge=strangers),
    Check(id="unknown-domains", asks="Are all servers' domains known to Nova?", judge=unknown_domains),
    Check(id="switch-database", asks="Does nova-compute reach the switch?", judge=switch_database),
    Check(id="privileged-helper", asks="Can nova-compute do what takes root?", judge=privileged_helper),
    Check(id="image-kinds", asks="Does every image go to its kind of hypervisor?", judge=image_kinds),
    Check(
        id="orphaned-allocations",
        asks="Is no room held for servers that are gone?",
        judge=orphaned_allocations,
    ),
    Check(id="overbooked", asks="Is the machine's capacity counted once?", judge=overbooked),
)
