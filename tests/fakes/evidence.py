# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""What is seen on a machine with a healthy cloud, as the gatherers tell it; tests change what they plant."""

import copy
from typing import Any

from novadocker.host.evidence.model import Evidence

SERVER = "0e2d7a5e-8a3f-4c39-9d3c-7d3f1a5b6c7d"
NETWORK = "5b1c8e0e-0000-4000-8000-000000000001"
SOCKET = "/run/nova-docker/docker/docker.sock"

_HEALTHY: dict[str, Any] = {
    "now": "2026-11-22T16:30:00+00:00",
    "ours": {
        "name": "nova-docker",
        "hostname": "host",
        "hosts": ["host", "host-docker"],
        "docker_host": "host-docker",
        "external_cidr": "172.24.4.0/24",
        "external_bridge": "ndk-ex",
        "external_gateway": "172.24.4.1",
        "uplink_mtu": 1500,
        "kvm": False,
        "machine": {"VCPU": 2, "MEMORY_MB": 16000, "DISK_GB": 100},
    },
    "damaged": "",
    "upkeep": {
        "alive": True,
        "reaped": True,
        "services": {"nova-api": "RUNNING", "dockerd": "RUNNING"},
        "deaths": {},
    },
    "folders": [],
    "hash_ring": {"nodes": 1, "alive": 1},
    "programs": {"sudo": False},
    "orphans": {"dead": 0},
    "names": {"hostname": "host", "fqdn": "host", "addresses": ["127.0.1.1"]},
    "kernel": {
        "release": "6.1.0",
        "architecture": "amd64",
        "first_process": "systemd",
        "modules": {"openvswitch": "loaded"},
    },
    "virtualisation": {"device": False, "works": False},
    "control_groups": {
        "mounts": [
            {
                "kind": "cgroup2",
                "place": "/sys/fs/cgroup",
                "writable": True,
                "controllers": ["cpu", "memory", "pids"],
            }
        ]
    },
    "room": {
        "disk": {"place": "/var/lib", "total_mb": 100_000, "free_mb": 60_000},
        "run": {"total_mb": 1600, "free_mb": 1500},
        "memory": {"total_mb": 16_000, "available_mb": 9_000},
        "conntrack": {"used": 100, "most": 262_144},
        "inotify_instances": 1024,
        "processes": {"used": 300, "most": 4_194_304},
    },
    "settings": {"net.ipv4.ip_forward": 1, "net.bridge.bridge-nf-call-iptables": None},
    "forwarding": {
        "iptables": [
            "-P FORWARD DROP",
            "-A FORWARD -s 172.24.4.0/24 -i ndk-ex -m comment --comment nova-docker:nova-docker -j ACCEPT",
            "-A FORWARD -d 172.24.4.0/24 -o ndk-ex -m comment --comment nova-docker:nova-docker -j ACCEPT",
            "-A FORWARD -j DOCKER-USER",
        ]
    },
    "links": [
        {"name": "eth0", "mtu": 1500, "up": True, "addresses": ["192.0.2.7/255.255.255.0"]},
        {"name": "ndk-ex", "mtu": 1500, "up": True, "addresses": ["172.24.4.1/255.255.255.0"]},
    ],
    "processes": [
        {"pid": 11, "parent": 1, "program": "nova-compute", "words": [], "unit": "", "network": "net:[1]"},
        {"pid": 12, "parent": 1, "program": "dockerd", "words": [], "unit": "", "network": "net:[2]"},
        *(
            {"pid": pid, "parent": 1, "program": name, "words": [], "unit": "", "network": "net:[1]"}
            for pid, name in ((14, "neutron-ovn-maintenance-worker"), (15, "neutron-periodic-workers"))
        ),
    ],
    "holders": [],
    "domains": [],
    "offloads": [],
    "images": [
        {
            "id": "i1",
            "name": "web",
            "status": "active",
            "disk_format": "raw",
            "size": 700_000,
            "command": False,
            "archive": {
                "kind": "docker",
                "images": [{"architecture": "amd64", "os": "linux", "command": True}],
            },
        }
    ],
    "switches": [
        {
            "socket": "/run/nova-docker/ovs/db.sock",
            "version": "3.1.0",
            "external_ids": {"hostname": "host", "ovn-bridge-mappings": "public:ndk-ex"},
            "bridges": [
                {
                    "name": "ndk-int",
                    "datapath": "system",
                    "ports": [
                        {
                            "name": "tap1",
                            "tag": None,
                            "error": "",
                            "external_ids": {"iface-id": "p1", "ovn-installed": "true"},
                            "other_config": {},
                        }
                    ],
                },
                {"name": "ndk-ex", "datapath": "system", "ports": []},
            ],
        }
    ],
    "cookies": {"ndk-int": {"0x0": 40, "0x1a": 20}},
    "engines": [
        {
            "socket": SOCKET,
            "facts": {
                "ServerVersion": "20.10.24",
                "CgroupDriver": "cgroupfs",
                "SecurityOptions": ["name=seccomp,profile=default", "name=userns"],
                "Warnings": None,
            },
            "containers": [
                {
                    "id": "a" * 64,
                    "name": f"nova-{SERVER}",
                    "state": "running",
                    "status": "Up 2 minutes",
                    "server": SERVER,
                    "host": "host-docker",
                    "role": "workload",
                    "pid": 4711,
                }
            ],
        }
    ],
    "services": [
        {
            "pid": 11,
            "program": "nova-compute",
            "unit": "",
            "files": ["/var/lib/nova-docker/etc/nova/nova.conf"],
            "options": {
                "DEFAULT.host": "host-docker",
                "DEFAULT.compute_driver": "novadocker.virt.docker.DockerDriver",
                "docker.binding_host": "host",
                "vif_plug_ovs_privileged.helper_command": "privsep-helper",
            },
            "database": {"connection": "unix:/run/nova-docker/ovs/db.sock", "answers": True},
            "compute_ids": {"/var/lib/nova-docker/data/nova-docker/compute_id": "1"},
        },
        {
            "pid": 13,
            "program": "nova-compute",
            "unit": "",
            "files": ["/var/lib/nova-docker/etc/nova/nova.conf"],
            "options": {
                "DEFAULT.host": "host",
                "vif_plug_ovs_privileged.helper_command": "privsep-helper",
            },
            "database": {"connection": "unix:/run/nova-docker/ovs/db.sock", "answers": True},
            "compute_ids": {"/var/lib/nova-docker/data/nova-libvirt/compute_id": "2"},
        },
        {
            "pid": 16,
            "program": "neutron-api",
            "unit": "",
            "files": ["/var/lib/nova-docker/etc/neutron/neutron.conf"],
            "options": {"ml2.mechanism_drivers": "ovn", "DEFAULT.send_events_interval": "1"},
            "compute_ids": {},
            "wsgi": "python",
            "workers": None,
        },
        {
            "pid": 17,
            "program": "nova-scheduler",
            "unit": "",
            "files": ["/var/lib/nova-docker/etc/nova/nova.conf"],
            "options": {"filter_scheduler.enabled_filters": "ComputeFilter,ImageKindFilter"},
            "compute_ids": {},
        },
    ],
    "computes": [
        {"host": host, "binary": "nova-compute", "state": "up", "status": "enabled", "seen": "16:29:55"}
        for host in ("host", "host-docker")
    ],
    "hypervisors": [
        {"name": host, "type": kind, "state": "up", "host": host}
        for host, kind in (("host", "QEMU"), ("host-docker", "docker"))
    ],
    "agents": [
        {"type": "OVN Controller Gateway agent", "host": "host", "alive": True, "configuration": {}},
        {"type": "OVN Neutron agent", "host": "host", "alive": True, "configuration": {}},
    ],
    "servers": [
        {
            "id": SERVER,
            "name": "web",
            "status": "ACTIVE",
            "task": None,
            "host": "host-docker",
            "updated": "2026-11-22T16:00:00Z",
            "fault": "",
        }
    ],
    "ports": [
        {
            "id": "p1",
            "server": SERVER,
            "status": "ACTIVE",
            "host": "host",
            "vif": "ovs",
            "vnic": "normal",
            "network": NETWORK,
        }
    ],
    "networks": [
        {"id": NETWORK, "name": "private", "mtu": 1442, "type": "geneve", "physical": None, "external": False}
    ],
    "providers": [
        {
            "name": host,
            "inventory": {
                "VCPU": {"total": 2, "reserved": 1},
                "MEMORY_MB": {"total": 16000, "reserved": 10000},
                "DISK_GB": {"total": 50, "reserved": 0},
            },
            "consumers": [SERVER] if host == "host-docker" else [],
        }
        for host in ("host", "host-docker")
    ],
    "migrations": [],
}


def parts() -> dict[str, Any]:
    """The parts of a healthy cloud's evidence, to be changed."""
    return copy.deepcopy(_HEALTHY)


def evidence(**changed: Any) -> Evidence:
    """A healthy cloud's evidence with some parts changed; one that is None could not be had."""
    found = {**parts(), **changed}
    absent = {name: "it was hidden" for name, value in found.items() if value is None}
    return Evidence({name: value for name, value in found.items() if value is not None}, absent)
