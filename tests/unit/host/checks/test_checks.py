# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""Every check finds what is planted, names it, and finds nothing on a healthy cloud."""

import copy

import pytest
from tests.fakes import evidence as seen
from tests.fakes.evidence import SERVER

from novadocker.host.checks import registry
from novadocker.host.checks.model import carry_out
from novadocker.host.evidence.model import Evidence

CHECKS = {check.id: check for check in registry.ALL}
PARTS = seen.parts()
AGENT = {
    "pid": 21,
    "program": "neutron-openvswitch-agent",
    "unit": "neutron-openvswitch-agent.service",
    "files": ["/etc/neutron/neutron.conf"],
    "options": {"DEFAULT.host": "host"},
    "compute_ids": {},
}
SECOND = AGENT | {
    "pid": 22,
    "unit": "docker-openvswitch-agent.service",
    "files": ["/etc/neutron/neutron.conf", "/etc/neutron/ovs-docker.conf"],
    "options": {"DEFAULT.host": "nova-docker"},
}


def with_(part, **changes):
    """The first entry of a part that is a list, changed."""
    entries = copy.deepcopy(PARTS[part])
    entries[0] |= changes
    return {part: entries}


def merged(part, *path, **changes):
    """A part that is a table, changed at a path."""
    table = copy.deepcopy(PARTS[part])
    place = table
    for step in path:
        place = place[step]
    place |= changes
    return {part: table}


def port_of_switch(**changes):
    switches = copy.deepcopy(PARTS["switches"])
    switches[0]["bridges"][0]["ports"][0] |= changes
    return {"switches": switches}


def datapath_absent():
    kernel = copy.deepcopy(PARTS["kernel"])
    kernel["modules"]["openvswitch"] = "absent"
    return {"kernel": kernel}


def merged_controllers(*names):
    (mount,) = copy.deepcopy(PARTS["control_groups"]["mounts"])
    return {"control_groups": {"mounts": [mount | {"controllers": list(names)}]}}


def stuck(**changes):
    changed = {"task": "deleting", "updated": "2026-11-22T16:00:00Z"} | changes
    return with_("servers", **changed)


LIBVIRTD = {"pid": 30, "parent": 1, "program": "libvirtd", "words": [], "unit": "", "network": ""}
FIREWALLD = LIBVIRTD | {"program": "firewalld", "unit": "firewalld.service"}
LAYER = "/var/lib/nova-docker/data/docker/storage/btrfs/subvolumes/bbbb"
HOLDER = {
    "pid": 40,
    "name": "memcached",
    "unit": "memcached.service",
    "mounts": [LAYER],
    "stale": [LAYER],
}
RULES = PARTS["forwarding"]["iptables"]

# What is planted: the check, the evidence, what its finding says, what its fix says.
PLANTED = {
    "module there, not loaded": (
        "openvswitch-module", merged("kernel", "modules", openvswitch="there"), "userspace",
        "modprobe openvswitch"),
    "module absent, kernel datapath": ("openvswitch-module", datapath_absent(), "no packet passes", "netdev"),
    "KVM that does not work": (
        "kvm",
        {"virtualisation": {"device": True, "works": False}, "processes": [LIBVIRTD], "ours": {}},
        "KVM does not work", "virt_type"),
    "no control group": ("control-groups", {"control_groups": {"mounts": []}}, "No control group", "rw"),
    "no memory controller": (
        "control-groups",

        merged_controllers("cpu", "pids"),
        "memory are not there", "cgroup_enable"),
    "name that does not resolve": (
        "own-name", merged("names", addresses=[]), "does not resolve", "/etc/hosts"),
    "full disk": ("room", merged("room", "disk", free_mb=100), "full", "du -xm"),
    "full /run": ("room", merged("room", "run", free_mb=10), "full", "/run"),
    "little memory": ("room", merged("room", "memory", total_mb=4000), "more memory", "Add"),
    "memory used up": ("room", merged("room", "memory", available_mb=100), "used up", "ps "),
    "full conntrack": (
        "room", merged("room", "conntrack", used=262_000), "connection tracking", "nf_conntrack_max"),
    "few inotify": ("room", merged("room", inotify_instances=16), "inotify", "max_user_instances"),
    "firewalld": (
        "other-firewalls", {"processes": [*PARTS["processes"], FIREWALLD]}, "firewalld manages",
        "nova-docker up"),
    "overlapping network": (
        "overlapping-networks", with_("links", addresses=["172.24.4.9/255.255.0.0"]), "overlaps",
        "external_cidr"),
    "two agents": (
        "two-ovs-agents", {"services": [AGENT, SECOND]}, "deletes the other's flows",
        "disable --now docker-openvswitch-agent.service"),
    "two agents by what they told": (
        "two-ovs-agents",
        {"agents": [{"type": "Open vSwitch agent", "host": host, "alive": True,
                     "configuration": {"tunneling_ip": "192.0.2.1"}} for host in ("host", "nova-docker")]},
        "one bridge", "binding_host"),
    "flows of two": (
        "flows-of-two-agents", {"services": [AGENT], "cookies": {"br-int": {"0x0": 1, "0xa": 5, "0xb": 6}}},
        "2 agents", "restart"),
    "host without agent": (
        "host-without-agent",
        {"computes": [*PARTS["computes"], PARTS["computes"][0] | {"host": "host.example.com"}]},
        "No network agent answers for host.example.com", "to host"),
    "dead agent": (
        "host-without-agent", with_("agents", alive=False), "agent of host is down", "nova-docker up"),
    "binding failed, no agent": (
        "failed-bindings", with_("ports", vif="binding_failed", host="other"),
        "no live agent is on 'other'", SERVER),
    "binding failed, hardware": (
        "failed-bindings", with_("ports", vif="binding_failed", vnic="direct"), "'direct'", "reboot --hard"),
    "binding failed, physical network": (
        "failed-bindings",
        with_("ports", vif="binding_failed") | with_("networks", physical="physnet9"), "physnet9",
        "reboot --hard"),
    "forwarding off": (
        "forwarding", merged("settings", **{"net.ipv4.ip_forward": 0}), "forwards nothing", "sysctl"),
    "our rules gone": (
        "forwarding", {"forwarding": {"iptables": ["-P FORWARD DROP"]}}, "dropped", "nova-docker up"),
    "a rule before ours": (
        "forwarding", {"forwarding": {"iptables": [RULES[0], "-A FORWARD -j REJECT", *RULES[1:]]}},
        "before ours", "up"),
    "bridged packets": (
        "bridged-packets",
        merged("settings", **{"net.bridge.bridge-nf-call-iptables": 1})
        | {"links": [*PARTS["links"], {"name": "qbr1", "mtu": 1500, "up": True, "addresses": []}]},
        "FORWARD chain", "sysctl -w net.bridge.bridge-nf-call-iptables=0"),
    "MTU": ("mtu", with_("networks", mtu=1500), "do not fit", "--mtu 1442"),
    "stale port": (
        "stale-ports", port_of_switch(error="could not open network device tap1"), "tap1", "del-port"),
    "two identities": (
        "compute-identity", with_("services", compute_ids={"/a/compute_id": "1", "/b/compute_id": "2"}),
        "two identities", "hypervisor list"),
    "one identity for two": (
        "compute-identity",
        {"services": [each | {"compute_ids": {"/etc/nova/compute_id": "1"}} for each in PARTS["services"]]},
        "share one identity", "state_path"),
    "renamed chassis": (
        "host-renamed", with_("switches", external_ids={"hostname": "host.example.com"}),
        "another name", "up"),
    "compute down": ("services-down", with_("computes", state="down"), "does not report", "nova-docker up"),
    "in no cell": (
        "host-in-no-cell", {"hypervisors": PARTS["hypervisors"][:1]}, "in no cell", "discover_hosts"),
    "strange container": (
        "unknown-containers", {"servers": []}, "Nova does not have", f"rm -f nova-{SERVER}"),
    "orphaned allocation": (
        "orphaned-allocations", with_("providers", consumers=["gone"]), "holds room for gone",
        "allocation delete"),
    "overbooked": (
        "overbooked",
        {"providers": [each | {"inventory": {"VCPU": {"total": 2, "reserved": 0}}}
                       for each in PARTS["providers"]]},
        "given out twice", "nova-docker up"),
    "stuck deleting": ("stuck-servers", stuck(), "deleting for 30 min", "--state error"),
    "stuck on a dead host": (
        "stuck-servers", stuck(updated="2026-11-22T16:29:00Z", host="gone"), "nova-compute is down",
        "nova-docker up"),
    "held mount": ("held-mounts", {"holders": [HOLDER]}, "memcached (process 40, unit memcached.service)",
                   "systemctl restart memcached.service"),
    "held mount, no unit": ("held-mounts", {"holders": [HOLDER | {"unit": ""}]}, "process 40)", "nsenter"),
    "dead container": (
        "dead-containers",
        {"engines": [PARTS["engines"][0] | {
            "containers": [PARTS["engines"][0]["containers"][0] | {"state": "dead", "status": "Dead"}]}]},
        "could not remove", "rm -f"),
    "failed server": (
        "failed-servers", with_("servers", status="ERROR", fault="No valid host"), "failed", "why"),
}  # fmt: skip


def test_a_healthy_cloud_has_nothing():
    findings = registry.examine(seen.evidence())
    assert [finding for finding in findings if finding.status != "ok"] == []


@pytest.mark.parametrize(("check", "changes", "cause", "fix"), PLANTED.values(), ids=PLANTED)
def test_what_is_planted_is_named(check, changes, cause, fix):
    findings = carry_out(CHECKS[check], seen.evidence(**changes))
    told = [finding for finding in findings if finding.status in ("warn", "fail")]
    assert len(told) == 1, findings
    assert cause in told[0].cause
    assert fix in told[0].fix
    assert told[0].evidence


def test_every_check_has_a_planted_fault():
    assert {check for check, *_ in PLANTED.values()} == set(CHECKS)


@pytest.mark.parametrize("check", CHECKS)
def test_what_could_not_be_seen_is_said(check):
    (finding,) = carry_out(CHECKS[check], Evidence({}, {}))
    assert finding.status == "skip"
    assert "not looked at" in finding.cause


def test_on_somebody_else_s_machine_ours_is_not_missed():
    """No cloud of ours, no APIs to ask: nothing but what can be seen is judged, and nothing is wrong."""
    hidden = dict.fromkeys(("computes", "hypervisors", "agents", "servers", "ports", "networks", "providers"))
    findings = registry.examine(seen.evidence(ours={}, switches=[], engines=[], **hidden))
    assert {finding.status for finding in findings} == {"ok", "skip"}


def test_the_daemon_s_own_storage_is_nobody_s_container():
    storage = "/var/lib/nova-docker/data/docker/storage"
    holder = HOLDER | {"mounts": [storage, f"{storage}/btrfs"], "stale": []}
    assert [each.status for each in carry_out(CHECKS["held-mounts"], seen.evidence(holders=[holder]))] == [
        "ok"
    ]


def test_evidence_survives_a_bundle():
    before = seen.evidence(forwarding=None)
    again = Evidence.from_dict(before.to_dict())
    assert registry.examine(again) == registry.examine(before)
