# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""The machine: its kernel, names, room, and who else is on it."""

import ipaddress

from novadocker.host.checks.model import Check, Trouble
from novadocker.host.evidence.model import Evidence

_LEAST_MEMORY_MB = 6 * 1024
_LEAST_FREE_MB = 512
_LEAST_DISK_MB = 8 * 1024
_FULL = 0.95


def openvswitch_module(evidence: Evidence) -> list[Trouble]:
    """A kernel whose Open vSwitch datapath is not loaded, or bridges that ask for one it lacks."""
    state = evidence["kernel"]["modules"].get("openvswitch", "absent")
    if state == "there":
        return [
            Trouble(
                seen=("the module openvswitch is installed and not loaded",),
                cause="Packets of servers go through userspace, several times slower than need be.",
                fix="modprobe openvswitch && nova-docker down --keep-data && nova-docker up",
                severe=False,
            )
        ]
    bridges = [bridge for switch in evidence["switches"] for bridge in switch["bridges"]]
    wrong = [
        bridge["name"] for bridge in bridges if state == "absent" and bridge["datapath"] in ("", "system")
    ]
    if not wrong:
        return []
    return [
        Trouble(
            seen=(
                f"the kernel {evidence['kernel']['release']} has no module openvswitch",
                f"bridges {', '.join(wrong)}",
            ),
            cause="These bridges ask for a datapath this kernel does not have: no packet passes.",
            fix="; ".join(f"ovs-vsctl set bridge {name} datapath_type=netdev" for name in wrong),
        )
    ]


def kvm(evidence: Evidence) -> list[Trouble]:
    """A device of KVM that does not work: libvirt tries it at every start of a VM, for seconds."""
    seen = evidence["virtualisation"]
    if evidence["ours"].get("kvm") and not seen["works"]:
        return [
            Trouble(
                seen=("VMs of this cloud are started under KVM", "KVM does not work now"),
                cause="KVM worked at the first `up` and does not any more: no VM starts.",
                fix="modprobe kvm_intel || modprobe kvm_amd   # or enable nested virtualisation below",
            )
        ]
    if not seen["device"] or seen["works"]:
        return []
    # Our libvirtd does not see the device; see services/libvirt.py.
    others = [
        each for each in evidence["processes"] if each["program"] == "libvirtd" and not evidence["ours"]
    ]
    if not others:
        return []
    return [
        Trouble(
            seen=("/dev/kvm exists, and a machine of one boot sector does not get to its end under it",),
            cause="KVM does not work here: libvirt tries it for seconds at every start of a VM.",
            fix="Set [libvirt] virt_type = qemu; or enable nested virtualisation below this machine.",
            severe=False,
        )
    ]


def control_groups(evidence: Evidence) -> list[Trouble]:
    """Hierarchies dockerd needs and cannot write to."""
    mounts = evidence["control_groups"]["mounts"]
    if not any(mount["writable"] for mount in mounts):
        return [
            Trouble(
                seen=tuple(f"{mount['kind']} at {mount['place']}: read-only" for mount in mounts)
                or ("none is mounted",),
                cause="No control group can be made here: neither dockerd nor libvirt can start anything.",
                fix="mount -o remount,rw /sys/fs/cgroup   # in a container: run it privileged",
            )
        ]
    first = {mount["place"].rsplit("/", 1)[-1] for mount in mounts if mount["kind"] == "cgroup"}
    unified = {name for mount in mounts if mount["kind"] == "cgroup2" for name in mount["controllers"]}
    lacking = [
        name
        for name in ("memory", "pids", "cpu")
        if name not in unified and not any(name in each for each in first)
    ]
    if not lacking:
        return []
    return [
        Trouble(
            seen=(f"controllers found: {', '.join(sorted(first | unified)) or 'none'}",),
            cause=f"The controllers {', '.join(lacking)} are not there: flavors' limits on them do not hold.",
            fix="Enable them: kernel parameters cgroup_enable=memory, or delegate them to this container.",
        )
    ]


def own_name(evidence: Evidence) -> list[Trouble]:
    """A host name that does not resolve, or to another machine: RabbitMQ and Erlang give up on it.

    Our own services go by `localhost`, and libvirtd has a table of names of its own.
    """
    names = evidence["names"]
    if evidence["ours"]:
        return []
    if not names["addresses"]:
        return [
            Trouble(
                seen=(f"'{names['hostname']}' resolves to nothing",),
                cause="The machine's name does not resolve: programs that look themselves up fail or wait.",
                fix=f"echo '127.0.1.1 {names['hostname']}' >> /etc/hosts",
                severe=False,
            )
        ]
    mine = {address.split("/")[0] for link in evidence["links"] for address in link["addresses"]}
    # IPv6 addresses of links are not gathered.
    told = [each for each in names["addresses"] if ":" not in each]
    if not told or any(each in mine or each.startswith("127.") for each in told):
        return []
    return [
        Trouble(
            seen=(f"'{names['hostname']}' resolves to {', '.join(told)}", "no interface here has that"),
            cause="The machine's own name leads to another machine: RabbitMQ and agents go astray.",
            fix=f"Put the address of this machine beside {names['hostname']} in /etc/hosts.",
            severe=False,
        )
    ]


def room(evidence: Evidence) -> list[Trouble]:
    """Disk, memory and kernel tables that are full, or as good as."""
    found = evidence["room"]
    troubles = []
    for name, place in (("disk", found["disk"]["place"]), ("run", "/run")):
        disk = found[name]
        if disk["free_mb"] < _LEAST_FREE_MB // (8 if name == "run" else 1) or (
            name == "disk"
            and disk["free_mb"] < disk["total_mb"] * (1 - _FULL)
            and disk["free_mb"] < _LEAST_DISK_MB
        ):
            troubles.append(
                Trouble(
                    seen=(f"{place}: {disk['free_mb']} MiB of {disk['total_mb']} are free",),
                    cause=f"The disk at {place} is full, or nearly.",
                    fix=f"du -xm --max-depth=3 {place} | sort -n | tail   # and remove what is not needed",
                )
            )
    memory = found["memory"]
    if memory["total_mb"] < _LEAST_MEMORY_MB:
        troubles.append(
            Trouble(
                seen=(f"{memory['total_mb']} MiB",),
                cause=f"The cloud and one server need more memory ({_LEAST_MEMORY_MB} MiB).",
                fix="Add memory.",
                severe=False,
            )
        )
    elif memory["available_mb"] < _LEAST_FREE_MB:
        troubles.append(
            Trouble(
                seen=(f"{memory['available_mb']} MiB of {memory['total_mb']} are available",),
                cause="Memory is as good as used up: the kernel will soon kill something.",
                fix="ps -eo rss,pid,args --sort=-rss | head   # and end what is not needed",
            )
        )
    for name, used, most, fix in (
        ("connection tracking table", found["conntrack"]["used"], found["conntrack"]["most"],
         "sysctl -w net.netfilter.nf_conntrack_max={twice}"),
        ("process table", found["processes"]["used"], found["processes"]["most"],
         "sysctl -w kernel.pid_max={twice}"),
    ):  # fmt: skip
        if used is not None and most and used > most * _FULL:
            troubles.append(
                Trouble(
                    seen=(f"{used} of {most}",),
                    cause=f"The kernel's {name} is full, or nearly.",
                    fix=fix.format(twice=2 * most),
                    safe=True,
                )
            )
    instances = found["inotify_instances"]
    if instances is not None and instances < 128:
        troubles.append(
            Trouble(
                seen=(f"fs.inotify.max_user_instances = {instances}",),
                cause="Few inotify instances: system containers fail with 'too many open files'.",
                fix="sysctl -w fs.inotify.max_user_instances=512",
                safe=True,
                severe=False,
            )
        )
    return troubles


def other_firewalls(evidence: Evidence) -> list[Trouble]:
    """Programs that rewrite the firewall as they see fit."""
    found = {
        each["program"]: each
        for each in evidence["processes"]
        if each["program"] in ("firewalld", "k3s", "kubelet")
    }
    if not evidence["ours"]:
        return []
    return [
        Trouble(
            seen=(f"process {each['pid']}{' (' + each['unit'] + ')' if each['unit'] else ''}",),
            cause=f"{name} manages this machine's firewall too: on its reload the rules of the cloud may go.",
            fix="nova-docker up   # after each reload, or let it leave our external bridge alone",
            severe=False,
        )
        for name, each in sorted(found.items())
    ]


def overlapping_networks(evidence: Evidence) -> list[Trouble]:
    """An interface of the machine in a network that the cloud uses for floating IPs."""
    external = evidence["ours"].get("external_cidr")
    if not external:
        return []
    wanted = ipaddress.ip_network(external)
    bridge = evidence["ours"]["external_bridge"]
    return [
        Trouble(
            seen=(f"{link['name']} has {address}", f"the cloud's floating IPs are in {external}"),
            cause=f"The network of {link['name']} overlaps the floating IPs': replies take the wrong way.",
            fix="Choose another [network] external_cidr in the configuration, or move the other network.",
        )
        for link in evidence["links"]
        if link["name"] != bridge
        for address in link["addresses"]
        if "None" not in address and ipaddress.ip_network(address, strict=False).overlaps(wanted)
    ]


CHECKS = (
    Check(
        id="openvswitch-module",
        asks="Can the bridges' datapath work on this kernel?",
        judge=openvswitch_module,
    ),
    Check(id="kvm", asks="Does KVM work where it shows?", judge=kvm),
    Check(id="control-groups", asks="Can processes be put into control groups?", judge=control_groups),
    Check(id="own-name", asks="Does the machine's name resolve?", judge=own_name),
    Check(id="room", asks="Is there room on disk, in memory and in the kernel's tables?", judge=room),
    Check(id="other-firewalls", asks="Does nobody else rewrite the firewall?", judge=other_firewalls),
    Check(
        id="overlapping-networks",
        asks="Are the floating IPs' addresses nobody else's?",
        judge=overlapping_networks,
    ),
)
