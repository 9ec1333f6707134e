# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""Whether packets get through: forwarding, bridges, MTU, ports of the switch."""

from novadocker.host.checks.model import Check, Trouble
from novadocker.host.evidence.model import Evidence

# Over IPv4: outer Ethernet 14, IP 20, UDP 8, and the tunnel's own 8; of Geneve, OVN's option 8, too.
_TUNNEL_BYTES = {"vxlan": 50}
_MOST_TUNNEL_BYTES = 58


def forwarding(evidence: Evidence) -> list[Trouble]:
    """Forwarding is off, or the policy of FORWARD drops and no rule accepts what is ours."""
    ours = evidence["ours"]
    if not ours:
        return []
    troubles = []
    if evidence["settings"].get("net.ipv4.ip_forward") != 1:
        troubles.append(
            Trouble(
                seen=("net.ipv4.ip_forward = 0",),
                cause="The kernel forwards nothing: servers do not get out of this machine.",
                fix="sysctl -w net.ipv4.ip_forward=1",
                safe=True,
            )
        )
    for chain in _dropping_chains(evidence["forwarding"].get("nft", [])):
        troubles.append(
            Trouble(
                seen=(chain,),
                cause="A chain of nftables drops what is forwarded, whatever iptables accepts beside it.",
                fix="Let it accept what comes from and goes to our external bridge "
                f"({ours['external_bridge']}), in that chain itself.",
                severe=False,
            )
        )
    rules = evidence["forwarding"].get("iptables", [])
    mark = f"nova-docker:{ours['name']}"
    accepted = [rule for rule in rules if mark in rule and rule.endswith("-j ACCEPT")]
    if len(accepted) < 2:
        dropping = "-P FORWARD DROP" in rules
        troubles.append(
            Trouble(
                seen=(
                    f"the policy of FORWARD is {'DROP' if dropping else 'ACCEPT'}",
                    f"{len(accepted)} of our 2 rules",
                ),
                cause="The rules that let servers' packets pass are gone"
                + (": they are dropped, as dockerd's policy says." if dropping else "."),
                fix="nova-docker up",
                safe=True,
                severe=dropping,
            )
        )
    else:
        position = min(rules.index(rule) for rule in accepted)
        before = [
            rule
            for rule in rules[:position]
            if rule.endswith(("-j DROP", "-j REJECT")) or "-j REJECT" in rule
        ]
        if before:
            troubles.append(
                Trouble(
                    seen=tuple(before[:3]),
                    cause="A rule before ours drops packets: it may hit those of servers.",
                    fix="nova-docker down --keep-data && nova-docker up   # puts ours first again",
                    severe=False,
                )
            )
    return troubles


def _dropping_chains(lines: list[str]) -> list[str]:
    """Base chains that drop what is forwarded by their policy; iptables' own are judged as iptables'."""
    table, found = "", []
    for line in map(str.strip, lines):
        if line.startswith("table "):
            table = line.removeprefix("table ").removesuffix("{").strip()
        elif "hook forward" in line and "policy drop" in line and table not in ("ip filter", "ip6 filter"):
            found.append(f"table {table}: {line}")
    return found


def bridged_packets(evidence: Evidence) -> list[Trouble]:
    """br_netfilter sends what bridges carry through iptables, where hybrid-plugged ports lose it."""
    calls = [
        name for name, value in evidence["settings"].items() if name.startswith("net.bridge.") and value == 1
    ]
    hybrid = [link["name"] for link in evidence["links"] if link["name"].startswith("qbr")]
    dropping = "-P FORWARD DROP" in evidence["forwarding"].get("iptables", [])
    if not (calls and hybrid and dropping):
        return []
    return [
        Trouble(
            seen=(*(f"{name} = 1" for name in calls), f"bridges {', '.join(hybrid[:3])}"),
            cause="Packets on these bridges pass iptables' FORWARD chain, whose policy is to drop.",
            fix="; ".join(f"sysctl -w {name}=0" for name in calls),
        )
    ]


def mtu(evidence: Evidence) -> list[Trouble]:
    """Networks whose packets do not fit the machine's interface, and devices too small for their network."""
    troubles = _narrow_devices(evidence)
    smallest = evidence["ours"].get("uplink_mtu")
    if not smallest:
        return troubles
    for network in evidence["networks"]:
        most = smallest - _TUNNEL_BYTES.get(network["type"], _MOST_TUNNEL_BYTES)
        if network["mtu"] and network["mtu"] > most and not network["external"]:
            troubles.append(
                Trouble(
                    seen=(
                        f"network {network['name']}: {network['mtu']} bytes",
                        f"the uplink carries {smallest}",
                    ),
                    cause="Its full-size packets do not fit into a tunnel: connections hang after the first.",
                    fix=f"openstack network set --mtu {most} {network['id']}   # and restart its servers",
                    severe=False,
                )
            )
    return troubles


def _narrow_devices(evidence: Evidence) -> list[Trouble]:
    widths = {link["name"]: link["mtu"] for link in evidence["links"]}
    networks = {network["id"]: network for network in evidence["networks"]}
    ports = {port["id"]: port for port in evidence["ports"]}
    troubles = []
    for device in [port for each in evidence["switches"] for one in each["bridges"] for port in one["ports"]]:
        port = ports.get(device["external_ids"].get("iface-id", ""))
        network = networks.get(port["network"]) if port else None
        if not port or not network or not network["mtu"]:
            continue
        if widths.get(device["name"], network["mtu"]) < network["mtu"]:
            troubles.append(
                Trouble(
                    seen=(
                        f"{device['name']}: {widths[device['name']]} bytes",
                        f"network {network['name']}: {network['mtu']} bytes",
                    ),
                    cause=f"The device of a port of server {port['server']} is narrower than its network: "
                    "connections hang after the first full-size packet.",
                    fix=f"ip link set {device['name']} mtu {network['mtu']}",
                    safe=True,
                )
            )
    return troubles


def mapped_bridges(evidence: Evidence) -> list[Trouble]:
    """A physical network that is mapped to a bridge there is not: nothing on it is bound or reached."""
    troubles = []
    agents = [
        each["options"]["ovs.bridge_mappings"]
        for each in evidence["services"]
        if each["options"].get("ovs.bridge_mappings")
    ]
    for switch in evidence["switches"]:
        there = {bridge["name"] for bridge in switch["bridges"]}
        mappings = {str(switch["external_ids"].get("ovn-bridge-mappings", "")), *agents}
        pairs = {
            pair.strip().partition(":")[::2] for text in mappings for pair in text.split(",") if ":" in pair
        }
        for network, bridge in sorted(pairs):
            if bridge not in there:
                troubles.append(
                    Trouble(
                        seen=(f"{network}:{bridge} is mapped", f"bridges: {', '.join(sorted(there))}"),
                        cause=f"The physical network {network} is mapped to {bridge}, which is not there.",
                        fix="nova-docker up"
                        if evidence["ours"]
                        else f"ovs-vsctl --db=unix:{switch['socket']} add-br {bridge}",
                        safe=bool(evidence["ours"]),
                    )
                )
    return troubles


def stale_ports(evidence: Evidence) -> list[Trouble]:
    """Ports of the switch whose device is gone."""
    troubles = []
    for switch in evidence["switches"]:
        for bridge in switch["bridges"]:
            stale = [port for port in bridge["ports"] if port["error"]]
            if stale:
                named = ", ".join(port["name"] for port in stale[:5])
                troubles.append(
                    Trouble(
                        seen=tuple(f"{port['name']}: {port['error']}" for port in stale[:3]),
                        cause=f"{len(stale)} ports of bridge {bridge['name']} have no device: {named}.",
                        fix="; ".join(
                            f"ovs-vsctl --db=unix:{switch['socket']} del-port {bridge['name']} {port['name']}"
                            for port in stale
                        ),
                        severe=False,
                    )
                )
    return troubles


CHECKS = (
    Check(id="forwarding", asks="Do servers' packets leave this machine?", judge=forwarding),
    Check(id="bridged-packets", asks="Are bridged packets left alone by iptables?", judge=bridged_packets),
    Check(id="mtu", asks="Do the networks' packets fit the machine's interface?", judge=mtu),
    Check(id="mapped-bridges", asks="Is there a bridge for each physical network?", judge=mapped_bridges),
    Check(id="stale-ports", asks="Has every port of the switch its device?", judge=stale_ports),
)
