# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""Why a server's ports were not bound, or did not become ready."""

import re

from novadocker.host.why.case import Case, Cause, again, line, lines

# In the order in which one without the next is of no use.
_CHAIN = (
    "ovsdb",
    "vswitchd",
    "ovn-sb",
    "ovn-nb",
    "ovn-northd",
    "ovn-controller",
    "neutron",
    "neutron-openvswitch-agent",
)
_WAITED = (
    r"did not install port|Timeout waiting for .*network-vif-plugged|did not report the server's ports"
    r"|Virtual Interface creation failed"
)
_REFUSED = r"Binding failed for port|PortBindingFailed"
_NEUTRON = r"Refusing to bind port|Failed to bind port"
_TROUBLES = f"{_WAITED}|{_REFUSED}|Failed to allocate the network"


def _in_trouble(case: Case) -> bool:
    return re.search(_TROUBLES, case.told) is not None


def _seen(case: Case) -> tuple[str, ...]:
    return lines(
        [
            case.find(_NEUTRON, service="neutron"),
            case.find(r"Timeout waiting for .*network-vif-plugged", own=True),
            case.find(f"Instance failed to spawn.*(?:{_TROUBLES})", own=True),
        ]
    )


def _became(case: Case) -> str:
    """What became of its ports for want of that."""
    if re.search(_REFUSED, case.told):
        return "Neutron could not bind its port"
    return "its port never became ready"


def part_gone(case: Case) -> Cause | None:
    """A part of the network did not run meanwhile."""
    gap = case.outage(*_CHAIN)
    if not (_in_trouble(case) and gap):
        return None
    if gap.end and gap.end < case.ended and part_frozen(case):
        return None  # what came back in time is less than what does nothing still
    return Cause(
        rule="network-part-down",
        sentence=f"{gap.service} {gap.told}: {_became(case)}.",
        evidence=(str(gap), *_agents(case), *_seen(case)),
        fix=again(case),
    )


def part_frozen(case: Case) -> Cause | None:
    """A part of the network is stopped by a signal: it is there and does nothing."""
    name = case.frozen_now(*_CHAIN)
    if not (_in_trouble(case) and name):
        return None
    pid = case.seen["supervised"][name]["pid"]
    return Cause(
        rule="network-part-frozen",
        sentence=f"{name} (process {pid}) is stopped by a signal and does nothing: {_became(case)}.",
        evidence=(f"process {pid}: state T (stopped), though the supervisor has it running", *_seen(case)),
        fix=again(case, f"kill -CONT {pid}"),
    )


def no_chassis(case: Case) -> Cause | None:
    """Neutron knows no live chassis by the name the port is bound to."""
    refused = case.find(r"no OVN chassis for host|to dead agent", service="neutron")
    if refused is None:
        return None
    host = re.search(r"no OVN chassis for host: (\S+)", refused.text)
    known = case.part("southbound", {}).get("chassis", [])
    if host:
        sentence = f"Neutron knows no network agent called '{host[1]}', to which its port was to be bound" + (
            f"; OVN's chassis calls itself {', '.join(known)}." if known and host[1] not in known else "."
        )
    else:
        sentence = "Neutron took the host's network agent for dead and did not bind its port."
    return Cause(
        rule="no-chassis",
        sentence=sentence,
        evidence=(line(refused), *_agents(case), *_seen(case)),
        fix=again(case),
    )


def no_bridge(case: Case) -> Cause | None:
    """The chassis has no bridge for the physical network of the port's network."""
    refused = case.find(r"not supporting physical network", service="neutron")
    if refused is None:
        return None
    found = re.search(r"physical network: (\S+)", refused.text)
    return Cause(
        rule="no-bridge",
        sentence="The host has no bridge for the physical network "
        f"{found[1] if found else 'of its network'}.",
        evidence=(line(refused), *_seen(case)),
        fix="Choose another network, or add the bridge to external_ids:ovn-bridge-mappings of the chassis.",
    )


def no_addresses(case: Case) -> Cause | None:
    """Its network has no free address."""
    found = re.search(
        r"No fixed IP addresses available for network: (?P<network>[0-9a-f-]{36})"
        r"|No more IP addresses available",
        case.told,
    )
    if found is None:
        return None
    network = found["network"] or "its network"
    return Cause(
        rule="no-addresses",
        sentence=f"Network {network} has no free address left.",
        evidence=(
            *lines([case.find("No more fixed IP|No more IP addresses", own=True)]),
            f"fault: {case.fault}",
        ),
        fix=f"openstack port list --network {network}   # delete unused ports, or widen its subnet's pools",
    )


def _agents(case: Case) -> tuple[str, ...]:
    return tuple(
        f"Neutron: {each['type']} on {each['host']} is not alive"
        for each in case.part("agents", [])
        if not each["alive"]
    )


def late(case: Case) -> Cause | None:
    """Its port was not ready in time, and nothing that could have made it ready was away."""
    found = re.search(
        r"did not install port (?P<one>[0-9a-f-]{36})|network-vif-plugged-(?P<other>[0-9a-f-]{36})",
        "\n".join(entry.text for entry in case.entries),
    )
    if found is None or not re.search(_WAITED, case.told) or not case.part("supervised", {}):
        return None
    port = found["one"] or found["other"]
    return Cause(
        rule="port-late",
        sentence=f"Port {port} was not made ready in time, though all parts of the network ran: one hung for "
        "a while, or the machine had no time for it.",
        evidence=(*_agents(case), *_seen(case), "supervisor: no part of the network was stopped or ended"),
        fix=again(case, "nova-docker doctor"),
    )


RULES = (no_addresses, part_gone, part_frozen, no_chassis, no_bridge, late)
