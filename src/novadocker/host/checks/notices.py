# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""How Nova learns that a port is ready: from the switch through OVN and Neutron; a boot waits for it."""

from datetime import timedelta
from typing import Any

from novadocker.host.checks.model import Check, Trouble, moment
from novadocker.host.evidence.model import Evidence

_NEUTRON = ("neutron-server", "neutron-api")
_OFF = ("false", "0", "no", "off")
# Neutron's own default; more is waited out at each boot (neutron/notifiers/batch_notifier.py).
_USUAL_INTERVAL = 2
_SETTLED = timedelta(minutes=1)
# They set what neutron/common/wsgi_utils.py asks for by themselves.
_COUNTED = ("uwsgi", "apache2", "httpd")


def port_events(evidence: Evidence) -> list[Trouble]:
    """Services that are told not to speak of ports, not to listen, or to wait long."""
    troubles = []
    for service in evidence["services"]:
        options, name = service["options"], service["program"]
        seen = (f"{name}, process {service['pid']}", *service["files"])
        if name in _NEUTRON and options.get("DEFAULT.notify_nova_on_port_status_changes", "").lower() in _OFF:
            troubles.append(
                Trouble(
                    seen=seen,
                    cause="Neutron does not tell Nova when a port is ready: each boot waits out "
                    "vif_plugging_timeout, and fails then.",
                    fix="Set [DEFAULT] notify_nova_on_port_status_changes = true, and restart Neutron.",
                )
            )
        interval = options.get("DEFAULT.send_events_interval", "")
        if name in _NEUTRON and interval.isdecimal() and int(interval) > _USUAL_INTERVAL:
            troubles.append(
                Trouble(
                    seen=(*seen, f"send_events_interval = {interval}"),
                    cause=f"Neutron keeps its word to Nova back for up to {interval} s: each boot waits.",
                    fix="Set [DEFAULT] send_events_interval = 1, and restart Neutron.",
                    severe=False,
                )
            )
        if name == "nova-compute" and _does_not_wait(options):
            troubles.append(
                Trouble(
                    seen=seen,
                    cause="This nova-compute does not wait for its ports: servers are ACTIVE before, or "
                    "without ever, having a network.",
                    fix="Take vif_plugging_is_fatal and vif_plugging_timeout out of its configuration.",
                    severe=False,
                )
            )
    return troubles


def _does_not_wait(options: dict[str, str]) -> bool:
    timeout = options.get("DEFAULT.vif_plugging_timeout", "")
    return options.get("DEFAULT.vif_plugging_is_fatal", "").lower() in _OFF or timeout == "0"


def hash_ring(evidence: Evidence) -> list[Trouble]:
    """Neutron with OVN under a WSGI server whose workers it cannot count: it refuses every event.

    Source: neutron's wsgi_utils.py, get_api_worker_count, and ovn_hash_ring_db.py. A process that gave itself
    a title shows no environment; of ours the ring itself is looked at.
    """
    if evidence["ours"].get("network_backend") == "ovs":
        return []
    if evidence["ours"]:
        ring = evidence["hash_ring"]
        if ring["alive"] or not _under_wsgi(evidence):
            return []
        return [
            Trouble(
                seen=(f"ovn_hash_ring: {ring['nodes']} nodes, none heard of in the last minute",),
                cause="No process of Neutron's API is in the ring that shares out OVN's events: ports never "
                "become ACTIVE, and boots wait out their timeout.",
                fix=f"kill {_under_wsgi(evidence)[0]['pid']}   # it is started anew, and enters the ring",
            )
        ]
    return [
        Trouble(
            seen=(f"process {each['pid']}: {each['wsgi']}, without ASGI_WORKERS in its environment",),
            cause="Neutron does not know how many processes its API has, and drops every event of OVN: ports "
            "never become ACTIVE, and boots wait out their timeout.",
            fix="Start it with ASGI_WORKERS=<number of its processes> in its environment.",
        )
        for each in _under_wsgi(evidence)
        if each["wsgi"] not in _COUNTED and each["workers"] == ""
    ]


def workers(evidence: Evidence) -> list[Trouble]:
    """Neutron's API under a WSGI server, and nobody who does what `neutron-server` did beside it."""
    if not _under_wsgi(evidence):
        return []
    there = {each["program"] for each in evidence["processes"]}
    if "neutron-workers" in there:  # ours does both
        return []
    duties = {
        "neutron-ovn-maintenance-worker": "what differs between Neutron's database and OVN's stays so",
        "neutron-periodic-workers": "timed work is not done",
    }
    if evidence["ours"].get("network_backend") == "ovs":
        del duties["neutron-ovn-maintenance-worker"]
    return [
        Trouble(
            seen=("Neutron's API runs under a WSGI server",),
            cause=f"No {name} runs beside it: {without}.",
            fix=f"{name} --config-file /etc/neutron/neutron.conf   # ours: nova-docker up",
            severe=False,
        )
        for name, without in duties.items()
        if name not in there
    ]


def _under_wsgi(evidence: Evidence) -> list[dict[str, Any]]:
    """Neutron's APIs that are no `neutron-server`, where OVN is behind them."""
    return [
        each
        for each in evidence["services"]
        if each["program"] == "neutron-api" and "ovn" in each["options"].get("ml2.mechanism_drivers", "ovn")
    ]


def silent_ports(evidence: Evidence) -> list[Trouble]:
    """Bound ports of running servers that Neutron still holds for down: where on the way it ends."""
    now = moment(evidence["now"])
    running = {
        server["id"]: server
        for server in evidence["servers"]
        if server["status"] == "ACTIVE" and not server["task"] and now - moment(server["updated"]) > _SETTLED
    }
    plugged = {
        port["external_ids"]["iface-id"]: port["external_ids"]
        for switch in evidence["switches"]
        for bridge in switch["bridges"]
        for port in bridge["ports"]
        if port["external_ids"].get("iface-id")
    }
    here = {str(switch["external_ids"].get("hostname", "")) for switch in evidence["switches"]}
    troubles = []
    for port in evidence["ports"]:
        if port["status"] != "DOWN" or port["server"] not in running or port["host"] not in here:
            continue
        if port["vif"] in ("binding_failed", "unbound"):
            continue
        marks = plugged.get(port["id"])
        if marks is None:
            why, fix = "it is not plugged into the switch", "openstack server reboot --hard"
        elif marks.get("ovn-installed") != "true":
            why, fix = (
                "it is plugged, and no agent has taken it up",
                "nova-docker up; openstack server reboot",
            )
        else:
            why = "it works on the switch, and Neutron was not told or did not listen"
            fix = "nova-docker up   # elsewhere restart Neutron's API; then: openstack server reboot --hard"
        troubles.append(
            Trouble(
                seen=(f"port {port['id']}: DOWN", f"bound to {port['host']} as {port['vif']}"),
                cause=f"A port of server {running[port['server']]['name']} did not become ready: {why}.",
                fix=f"{fix} {port['server']}",
            )
        )
    return troubles


CHECKS = (
    Check(id="port-events", asks="Does Nova hear when a port is ready?", judge=port_events),
    Check(id="ovn-hash-ring", asks="Does Neutron take OVN's events?", judge=hash_ring),
    Check(id="neutron-workers", asks="Is Neutron's work beside its API done?", judge=workers),
    Check(id="silent-ports", asks="Have the ports of running servers become ready?", judge=silent_ports),
)
