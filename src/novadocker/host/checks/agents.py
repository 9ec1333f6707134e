# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""Network agents and the ports bound to them."""

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from novadocker.host.checks.model import Check, Trouble
from novadocker.host.evidence.model import Evidence, NotSeen

_OVS_AGENT = "neutron-openvswitch-agent"
_SWITCHING = ("OVN Controller", "Open vSwitch")


def two_agents(evidence: Evidence) -> list[Trouble]:
    """Two Open vSwitch agents on one bridge: each deletes the flows that bear another's cookie.

    Source: neutron's ovs_neutron_agent.py, cleanup_stale_flows, and ofswitch.py, _dump_and_clean.
    """
    by_bridge: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for agent in evidence["services"]:
        if agent["program"] == _OVS_AGENT:
            by_bridge[agent["options"].get("ovs.integration_bridge", "br-int")].append(agent)
    troubles = [
        Trouble(
            seen=tuple(
                f"process {each['pid']}{' (' + each['unit'] + ')' if each['unit'] else ''}: "
                f"host {each['options'].get('DEFAULT.host', 'not set')}, {', '.join(each['files'])}"
                for each in agents
            ),
            cause=f"{len(agents)} Open vSwitch agents work on bridge {bridge}: one that starts deletes the "
            "other's flows, and both hand out the same VLAN tags.",
            fix=_stop_second(agents),
        )
        for bridge, agents in sorted(by_bridge.items())
        if len(agents) > 1
    ]
    return troubles or _two_by_name(evidence)


def _two_by_name(evidence: Evidence) -> list[Trouble]:
    """The same, by what the agents told Neutron: they may run in containers where we do not see them."""
    try:
        agents = evidence["agents"]
    except NotSeen:
        return []
    mine: dict[tuple[str, str], set[str]] = defaultdict(set)
    for agent in agents:
        told = agent["configuration"]
        if agent["type"] == "Open vSwitch agent" and agent["alive"] and told.get("tunneling_ip"):
            mine[(told["tunneling_ip"], told.get("integration_bridge", "br-int"))].add(agent["host"])
    return [
        Trouble(
            seen=(f"Neutron knows Open vSwitch agents {', '.join(sorted(hosts))} with tunnels at {address}",),
            cause=f"{len(hosts)} Open vSwitch agents with one tunnel address work on one bridge, {bridge}.",
            fix="Stop all but one, and let nova-compute bind its ports to that one: [docker] binding_host.",
        )
        for (address, bridge), hosts in sorted(mine.items())
        if len(hosts) > 1
    ]


def _stop_second(agents: list[dict[str, Any]]) -> str:
    units = [agent["unit"] for agent in agents if agent["unit"]]
    second = units[-1] if len(set(units)) > 1 else ""
    stop = f"systemctl disable --now {second}" if second else f"kill {agents[-1]['pid']}"
    return f"{stop}   # and set [docker] binding_host to the host of the agent that stays"


def flows_of_two(evidence: Evidence) -> list[Trouble]:
    """Flows of two writers on one bridge of agents: a second one is at work, or was and left them."""
    troubles = []
    agents = [each for each in evidence["services"] if each["program"] == _OVS_AGENT]
    if not agents:
        return []
    # OVN's flows bear a cookie each; its bridge is nobody else's.
    theirs = {bridge for agent in agents for bridge in _bridges(agent["options"])}
    for bridge, counts in sorted(evidence["cookies"].items()):
        if bridge not in theirs:
            continue
        writers = {cookie: count for cookie, count in counts.items() if int(cookie, 16)}
        if len(writers) > 1:
            troubles.append(
                Trouble(
                    seen=tuple(
                        f"cookie {cookie}: {count} flows" for cookie, count in sorted(writers.items())[:6]
                    ),
                    cause=f"The flows of bridge {bridge} were written by {len(writers)} agents.",
                    fix="Leave one agent on the bridge, and restart it: it removes the flows of others.",
                )
            )
    return troubles


def _bridges(options: Mapping[str, str]) -> set[str]:
    """The bridges an Open vSwitch agent writes to."""
    mapped = {pair.rpartition(":")[2].strip() for pair in options.get("ovs.bridge_mappings", "").split(",")}
    return {options.get("ovs.integration_bridge", "br-int"), "br-tun", *mapped} - {""}


def hosts_without_agent(evidence: Evidence) -> list[Trouble]:
    """A compute host by whose name nobody answers to Neutron: every port bound to it fails.

    Source: neutron's ml2 mech_agent.py, bind_port ("no agent of type", at debug level), and OVN's
    mech_driver.py ("Refusing to bind port").
    """
    switching = [agent for agent in evidence["agents"] if agent["type"].startswith(_SWITCHING)]
    alive = {agent["host"] for agent in switching if agent["alive"]}
    known = {agent["host"] for agent in switching}
    bound = _bound(evidence)
    troubles = []
    for name in sorted(set(bound) - alive):
        hosts = ", ".join(bound[name])
        told = f"ports of servers on {hosts} are bound to '{name}'"
        if name in known:
            troubles.append(
                Trouble(
                    seen=(told, f"Neutron: the agent of '{name}' is not alive"),
                    cause=f"The network agent of {name} is down: no port can be bound for {hosts}.",
                    fix="nova-docker up   # or restart ovn-controller or the Open vSwitch agent on that host",
                )
            )
        else:
            troubles.append(
                Trouble(
                    seen=(told, f"Neutron knows agents on: {', '.join(sorted(known)) or 'no host'}"),
                    cause=f"No network agent answers for {name}: no port of {hosts} can be bound.",
                    fix="Set [docker] binding_host (or [DEFAULT] host) of that nova-compute to "
                    f"{_nearest(name, known)}.",
                )
            )
    return troubles


def _bound(evidence: Evidence) -> dict[str, list[str]]:
    """The names ports are bound to, each with the compute hosts that bind to it."""
    configured = _binding_hosts(evidence)
    found: dict[str, list[str]] = defaultdict(list)
    for compute in evidence["computes"]:
        if compute["binary"] == "nova-compute" and compute["status"] != "disabled":
            found[configured.get(compute["host"], compute["host"])].append(compute["host"])
    return found


def _binding_hosts(evidence: Evidence) -> dict[str, str]:
    """The names docker's services bind to, where their configuration can be seen here."""
    try:
        services = evidence["services"]
    except NotSeen:
        return {}
    return {
        each["options"]["DEFAULT.host"]: each["options"]["docker.binding_host"]
        for each in services
        if each["options"].get("docker.binding_host") and each["options"].get("DEFAULT.host")
    }


def _nearest(name: str, known: set[str]) -> str:
    short = name.split(".")[0]
    alike = sorted(
        each for each in known if each.split(".")[0] == short or short.startswith(each.split(".")[0])
    )
    return alike[0] if alike else " or ".join(sorted(known)) or "the host of a running agent"


def failed_bindings(evidence: Evidence) -> list[Trouble]:
    """Ports Neutron could not bind."""
    alive = {
        agent["host"]
        for agent in evidence["agents"]
        if agent["alive"] and agent["type"].startswith(_SWITCHING)
    }
    networks = {network["id"]: network for network in evidence["networks"]}
    troubles = []
    for port in evidence["ports"]:
        if port["vif"] != "binding_failed":
            continue
        network = networks.get(port["network"], {})
        if port["host"] not in alive:
            why = f"no live agent is on '{port['host']}'"
        elif port["vnic"] not in ("normal", "", None):
            why = f"its kind is '{port['vnic']}', which needs hardware that the agent there does not offer"
        elif network.get("physical"):
            why = (
                f"the agent on '{port['host']}' has no bridge for the physical network "
                f"'{network['physical']}'"
            )
        else:
            why = f"the agent on '{port['host']}' is alive; Neutron's log at debug level says what it lacks"
        troubles.append(
            Trouble(
                seen=(
                    f"port {port['id']} of server {port['server']}",
                    f"network {network.get('name', port['network'])}",
                ),
                cause=f"Neutron could not bind the port: {why}.",
                fix=f"Put that right, then: openstack server reboot --hard {port['server']}",
            )
        )
    return troubles


CHECKS = (
    Check(id="two-ovs-agents", asks="Does one Open vSwitch agent work on each bridge?", judge=two_agents),
    Check(id="flows-of-two-agents", asks="Are the flows of each bridge one agent's?", judge=flows_of_two),
    Check(
        id="host-without-agent",
        asks="Does an agent answer for every compute host?",
        judge=hosts_without_agent,
    ),
    Check(id="failed-bindings", asks="Are all servers' ports bound?", judge=failed_bindings),
)
