# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""Servers' cases as they were recorded on a real cloud, where each failure had been planted."""

import json
from collections import defaultdict
from pathlib import Path
from typing import Any

from novadocker.host import journal
from novadocker.host.evidence.model import Evidence
from novadocker.host.why import gather
from novadocker.host.why.case import Case

RECORDED = Path(__file__).resolve().parents[1] / "unit" / "host" / "why" / "recorded"
RUNNING = {
    name: {"state": "RUNNING", "pid": pid, "frozen": False}
    for pid, name in enumerate(
        ("rabbitmq", "mariadb", "keystone", "glance", "placement", "neutron", "nova-api", "nova-conductor",
         "nova-scheduler", "nova-docker", "nova-libvirt", "dockerd", "containerd", "libvirtd", "ovsdb",
         "vswitchd", "ovn-nb", "ovn-sb", "ovn-northd", "ovn-controller"),
        start=100,
    )
}  # fmt: skip
PROVIDERS = [
    {
        "name": name,
        "offers": {
            "VCPU": {"capacity": 16, "most": 2, "used": 1},
            "MEMORY_MB": {"capacity": 10004, "most": 24105, "used": 128},
            "DISK_GB": {"capacity": 35, "most": 70, "used": 1},
        },
        "consumers": [],
    }
    for name in ("machine", "machine-docker")
]
FLAVORS = [
    {"name": "m1.tiny", "vcpus": 1, "ram": 128, "disk": 1},
    {"name": "m1.small", "vcpus": 1, "ram": 512, "disk": 2},
    {"name": "m1.large", "vcpus": 2, "ram": 4096, "disk": 8},
    {"name": "p-huge", "vcpus": 1, "ram": 900000, "disk": 1},
]
COMPUTES = [
    {"host": host, "binary": "nova-compute", "state": "up", "status": "enabled", "reason": None, "seen": ""}
    for host in ("machine", "machine-docker")
]


def running(**others: dict[str, Any]) -> dict[str, Any]:
    """All services running, but for these."""
    return {name: {**state, **others.get(name.replace("-", "_"), {})} for name, state in RUNNING.items()}


def case(name: str, *, missing: dict[str, str] | None = None, **parts: Any) -> Case:
    """A recorded case, with other parts in place of what is usual.

    :param missing: parts that could not be seen, with the reason.
    """
    found = json.loads((RECORDED / f"{name}.json").read_text())
    seen = {
        "agents": [],
        "providers": PROVIDERS,
        "flavors": FLAVORS,
        "computes": COMPUTES,
        "supervised": RUNNING,
        "container": {},
        "domain": {},
        "southbound": {"chassis": ["machine"], "ports": []},
        **found["seen"],
        **parts,
    }
    uuid = seen["server"]["id"]
    for each in missing or {}:
        seen.pop(each, None)
    words = [port["id"] for port in found["seen"]["ports"]]
    requests = [action["request"] for action in found["seen"]["actions"]]
    return Case(
        id=uuid,
        seen=Evidence(seen, missing or {}),
        entries=tuple(gather.about(_entries(found["lines"]), server=uuid, words=[*words, *requests])),
        upkeep=tuple(journal.entries(found["upkeep"], service="supervisor")),
    )


def _entries(lines: list[str]) -> Any:
    by_service: dict[str, list[str]] = defaultdict(list)
    service = ""
    for text in lines:
        head, _, rest = text.partition(": ")
        if rest[:2] == "20":
            service, text = head, rest
        by_service[service].append(text)
    return journal.joined([journal.entries(each, service=name) for name, each in by_service.items()])
