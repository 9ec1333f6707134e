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


def service(program, **options):
    """The services, with options of one program changed; one that is None is taken out."""
    found = copy.deepcopy(PARTS["services"])
    for each in found:
        if each["program"] == program:
            each["options"] |= {name.replace("__", "."): value for name, value in options.items()}
            each["options"] = {name: value for name, value in each["options"].items() if value is not None}
    return found


def without(part, program):
    """The processes or services without those of one program."""
    return {part: [each for each in PARTS[part] if each["program"] != program]}


def chassis(**changes):
    switches = copy.deepcopy(PARTS["switches"])
    switches[0]["external_ids"] |= changes
    return {"switches": switches}


def engine(**facts):
    return {"engines": [PARTS["engines"][0] | {"facts": PARTS["engines"][0]["facts"] | facts}]}


def container(**changes):
    (first,) = PARTS["engines"][0]["containers"]
    return {"engines": [PARTS["engines"][0] | {"containers": [first | changes]}]}


def archive(kind="docker", *images):
    return with_("images", archive={"kind": kind, "images": list(images)})


def foreign_api(**changes):
    """Somebody else's Neutron API under a WSGI server."""
    found = next(each for each in PARTS["services"] if each["program"] == "neutron-api")
    return {"ours": {}, "services": [found | changes]}


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
    "sources": {LAYER: "/dev/loop0"},
}
STORAGE = "/var/lib/nova-docker/data/docker/storage"
NAMESPACE = "/run/nova-docker/docker/exec/netns/0a1b"
KEPT = "/var/lib/nova-docker/data/docker/namespaces/vm-docker/4a7a4f28-0c52-4c1b-9cbb-5f2d4f9ed6ba/net"
IMAGE = {"architecture": "amd64", "os": "linux", "command": True}
DOMAIN = {"id": "d1", "name": "instance-0000002a", "running": True}
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
    "KVM that worked once": (
        "kvm", merged("ours", kvm=True), "does not any more", "modprobe"),
    "name that does not resolve": (
        "own-name", {"ours": {}} | merged("names", addresses=[]), "does not resolve", "/etc/hosts"),
    "name of another machine": (
        "own-name", {"ours": {}} | merged("names", addresses=["198.51.100.3"]), "another machine",
        "/etc/hosts"),
    "memory of the cloud damaged": (
        "cloud-files", {"damaged": "state.json: no JSON"}, "cannot be read", "nova-docker down"),
    "supervisor gone": (
        "services-stopped", merged("upkeep", alive=False), "not supervised", "nova-docker up"),
    "a service gone": (
        "services-stopped", merged("upkeep", "services", dockerd="FATAL"), "dockerd", "nova-docker up"),
    "a service that does not stay up": (
        "services-restless", merged("upkeep", deaths={"dockerd": 12}), "dockerd does not stay up",
        "nova-docker logs dockerd"),
    "reaper gone": ("reaper", merged("upkeep", reaped=False), "was killed", "nova-docker up"),
    "nobody reaps": (
        "reaper", {"ours": {}, "processes": [LIBVIRTD], "orphans": {"dead": 3}}, "does not reap", "tini"),
    "a folder of ours": (
        "folders",
        {"folders": [{"path": "/r/data/rabbitmq", "user": "rabbitmq", "at": "/r/data/rabbitmq",
                      "lacks": "writing"}]},
        "it lacks writing", "nova-docker up"),
    "a folder above ours": (
        "folders",
        {"folders": [{"path": "/srv/x/data", "user": "rabbitmq", "at": "/srv", "lacks": "entry"}]},
        "entry to /srv", "chmod o+x /srv"),
    "bridge gone": (
        "external-bridge", {"links": PARTS["links"][:1]}, "lead nowhere", "nova-docker up"),
    "bridge without address": (
        "external-bridge", {"links": [PARTS["links"][0], PARTS["links"][1] | {"addresses": []}]},
        "lead nowhere", "nova-docker up"),
    "container stopped": (
        "servers-not-running", container(state="exited", status="Exited (137)"), "web for running",
        "reboot --hard"),
    "container gone": (
        "servers-not-running", {"engines": [PARTS["engines"][0] | {"containers": []}]}, "web for running",
        "reboot --hard"),
    "domain stopped": (
        "servers-not-running",
        with_("servers", host="host") | {"engines": [],
              "domains": [DOMAIN | {"id": SERVER, "running": False}]},
        "web for running", "reboot --hard"),
    "Neutron does not tell": (
        "port-events",
        {"services": service("neutron-api", DEFAULT__notify_nova_on_port_status_changes="False")},
        "does not tell Nova", "notify_nova_on_port_status_changes"),
    "Neutron tells late": (
        "port-events", {"services": service("neutron-api", DEFAULT__send_events_interval="20")},
        "20 s", "send_events_interval = 1"),
    "nova-compute does not wait": (
        "port-events",
        {"services": service("nova-compute", DEFAULT__vif_plugging_timeout="0")[:1]},
        "does not wait", "vif_plugging"),
    "our ring is empty": (
        "ovn-hash-ring", {"hash_ring": {"nodes": 1, "alive": 0}}, "in the ring", "kill 16"),
    "workers not counted": (
        "ovn-hash-ring", foreign_api(wsgi="gunicorn", workers=""), "drops every event", "ASGI_WORKERS"),
    "no maintenance": (
        "neutron-workers", without("processes", "neutron-ovn-maintenance-worker"),
        "No neutron-ovn-maintenance-worker", "--config-file"),
    "port not plugged": (
        "silent-ports", with_("ports", status="DOWN") | port_of_switch(external_ids={}),
        "not plugged", "reboot --hard"),
    "port not taken up": (
        "silent-ports",
        with_("ports", status="DOWN") | port_of_switch(external_ids={"iface-id": "p1"}),
        "no agent has taken it up", "nova-docker up"),
    "port works, Neutron was not told": (
        "silent-ports", with_("ports", status="DOWN"), "was not told", SERVER),
    "Docker waits for systemd": (
        "docker-control-groups",
        engine(CgroupDriver="systemd") | merged("kernel", first_process="tini"), "there is none", "cgroupfs"),
    "Docker without user namespaces": (
        "docker-confinement", engine(SecurityOptions=["name=seccomp,profile=default"]), "without userns",
        "userns-remap"),
    "Docker without limits": (
        "docker-confinement", engine(Warnings=["WARNING: No memory limit support"]), "flavors' limits",
        "cgroup_enable"),
    "checksums left to a device": (
        "checksum-offload",
        {"offloads": [{"server": SERVER, "pid": 9, "device": "eth0", "checksums": True}]},
        "no TCP", "ethtool -K eth0 tx off"),
    "image of nothing": ("unbootable-images", archive("nothing"), "docker save", "image delete"),
    "image of another processor": (
        "unbootable-images", archive("docker", IMAGE | {"architecture": "s390x"}), "built for s390x",
        "image delete"),
    "image of another system": (
        "unbootable-images", archive("oci", IMAGE | {"os": "windows"}), "not for Linux", "image delete"),
    "image without a command": (
        "unbootable-images", archive("docker", IMAGE | {"command": False}), "what is to run",
        "os_command_line"),
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
    "nftables drops": (
        "forwarding",
        {"forwarding": PARTS["forwarding"] | {"nft": [
            "table ip filter {", "type filter hook forward priority filter; policy drop;",
            "table inet mine {", "type filter hook forward priority 0; policy drop;"]}},
        "nftables drops", "ndk-ex"),
    "bridged packets": (
        "bridged-packets",
        merged("settings", **{"net.bridge.bridge-nf-call-iptables": 1})
        | {"links": [*PARTS["links"], {"name": "qbr1", "mtu": 1500, "up": True, "addresses": []}]},
        "FORWARD chain", "sysctl -w net.bridge.bridge-nf-call-iptables=0"),
    "MTU": ("mtu", with_("networks", mtu=1500), "do not fit", "--mtu 1442"),
    "narrow device": (
        "mtu", {"links": [*PARTS["links"], {"name": "tap1", "mtu": 1280, "up": True, "addresses": []}]},
        "narrower", "mtu 1442"),
    "mapped bridge gone": (
        "mapped-bridges", chassis(**{"ovn-bridge-mappings": "public:ndk-ex,physnet1:br-provider"}),
        "br-provider, which is not there", "nova-docker up"),
    "stale port": (
        "stale-ports", port_of_switch(error="could not open network device tap1"), "tap1", "del-port"),
    "two identities": (
        "compute-identity", with_("services", compute_ids={"/a/compute_id": "1", "/b/compute_id": "2"}),
        "two identities", "hypervisor list"),
    "one identity for two": (
        "compute-identity",
        {"services": [each | {"compute_ids": {"/etc/nova/compute_id": "1"}} for each in PARTS["services"]]},
        "share one identity", "state_path"),
    "identity lost": (
        "compute-identity",
        {"services": [PARTS["services"][0] | {"compute_ids": {}, "options": {
            "DEFAULT.host": "host-docker", "DEFAULT.state_path": "/var/lib/nova"}}]},
        "lost its identity", "hypervisor list"),
    "machine renamed": (
        "host-renamed",
        {"ours": {}, "names": PARTS["names"] | {"hostname": "dhcp-7"},
         "services": [PARTS["services"][1] | {"options": {}}]},
        "Nova refuses a renamed host", "host = host"),
    "unknown domain": ("unknown-domains", {"domains": [DOMAIN]}, "Nova does not have: d1", "undefine d1"),
    "no database of the switch": (
        "switch-database",
        with_("services", database={"connection": "tcp:127.0.0.1:6640", "answers": False}), "plugs no port",
        "ovsdb_connection"),
    "no sudo": (
        "privileged-helper",
        with_("services", options={"DEFAULT.host": "host-docker", "docker.binding_host": "host"}),
        "by sudo", "helper_command"),
    "images not told apart": (
        "image-kinds",
        {"services": service("nova-scheduler", filter_scheduler__enabled_filters="ComputeFilter")},
        "the other way round", "ImageKindFilter"),
    "renamed chassis": (
        "host-renamed", chassis(hostname="host.example.com"),
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
    "held loop device": (
        "held-mounts",
        {"holders": [HOLDER | {"mounts": [STORAGE], "stale": [STORAGE], "sources": {STORAGE: "/dev/loop3"}}]},
        "memcached", "systemctl restart"),
    "held namespace": (
        "held-mounts",
        {"holders": [HOLDER | {"mounts": [NAMESPACE], "stale": [NAMESPACE], "sources": {NAMESPACE: "nsfs"}}]},
        "memcached", "systemctl restart"),
    "held mount, no unit": ("held-mounts", {"holders": [HOLDER | {"unit": ""}]}, "process 40)", "nsenter"),
    "dead container": (
        "dead-containers",
        {"engines": [PARTS["engines"][0] | {
            "containers": [PARTS["engines"][0]["containers"][0] | {"state": "dead", "status": "Dead"}]}]},
        "could not remove", "rm -f"),
    "failed server": (
        "failed-servers", with_("servers", status="ERROR", fault="No valid host"), "failed", "why"),
}  # fmt: skip


# What is gathered of a cloud of ours alone.
OURS_ALONE = ("upkeep", "folders", "hash_ring")


def test_a_healthy_cloud_has_nothing():
    findings = registry.examine(seen.evidence())
    assert [finding for finding in findings if finding.status != "ok"] == []


def test_a_healthy_cloud_with_ml2_ovs_has_nothing():
    network = seen.evidence()["networks"][0] | {"type": "vxlan", "mtu": 1450}
    kinds = ("Open vSwitch agent", "L3 agent", "DHCP agent", "Metadata agent")
    findings = registry.examine(
        seen.evidence(
            **without("processes", "neutron-ovn-maintenance-worker"),
            ours=seen.evidence()["ours"] | {"network_backend": "ovs"},
            hash_ring={"nodes": 0, "alive": 0},
            networks=[network],
            agents=[{"type": kind, "host": "host", "alive": True, "configuration": {}} for kind in kinds],
        )
    )
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
    findings = registry.examine(
        seen.evidence(ours={}, switches=[], engines=[], **hidden, **dict.fromkeys(OURS_ALONE))
    )
    assert {finding.status for finding in findings} == {"ok", "skip"}


def test_the_daemon_s_own_storage_is_nobody_s_container():
    mounts = [STORAGE, f"{STORAGE}/btrfs"]
    holder = HOLDER | {"mounts": mounts, "stale": [], "sources": dict.fromkeys(mounts, "/dev/loop0")}
    assert [each.status for each in carry_out(CHECKS["held-mounts"], seen.evidence(holders=[holder]))] == [
        "ok"
    ]


@pytest.mark.parametrize(("stale", "status"), [([], "ok"), ([KEPT], "fail")])
def test_what_keeps_a_server_s_namespace_may_be_seen_by_others(stale, status):
    holder = HOLDER | {"mounts": [KEPT], "stale": stale, "sources": {KEPT: "nsfs"}}
    assert [each.status for each in carry_out(CHECKS["held-mounts"], seen.evidence(holders=[holder]))] == [
        status
    ]


@pytest.mark.parametrize(("stale", "status"), [([], "ok"), ([NAMESPACE], "fail")])
def test_libvirtd_started_after_a_container_holds_nothing_but_what_is_gone(stale, status):
    holder = HOLDER | {
        "name": "libvirtd",
        "mounts": [NAMESPACE],
        "stale": stale,
        "sources": {NAMESPACE: "nsfs"},
    }
    assert [each.status for each in carry_out(CHECKS["held-mounts"], seen.evidence(holders=[holder]))] == [
        status
    ]


@pytest.mark.parametrize("check", CHECKS)
def test_evidence_of_another_shape_is_said(check):
    """As a bundle of another version may hold it: nothing is thrown."""
    odd = {name: value if name in ("now", "ours") else 7 for name, value in PARTS.items()}
    (finding,) = carry_out(CHECKS[check], Evidence(odd, {}))
    assert finding.status in ("skip", "ok", "fail")


def test_what_only_ours_has_is_not_missed_elsewhere():
    findings = registry.examine(seen.evidence(ours={}, **dict.fromkeys(OURS_ALONE)))
    skipped = [finding.id for finding in findings if finding.status == "skip"]
    assert skipped == []


def test_evidence_survives_a_bundle():
    before = seen.evidence(forwarding=None)
    again = Evidence.from_dict(before.to_dict())
    assert registry.examine(again) == registry.examine(before)
