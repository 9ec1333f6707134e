# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""How the cloud is, right now. Looking changes nothing and never fails because something is broken."""

from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import psutil

from novadocker.errors import NovaDockerError
from novadocker.host import capacity, cgroups, probes, uplink
from novadocker.host.bootstrap import computes, session
from novadocker.host.services import registry
from novadocker.host.services.model import Cloud, Service
from novadocker.host.supervise import choice, restarts
from novadocker.host.supervise.door import Process

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class ServiceState:
    """One service: the supervisor's word, what its probe misses, its processes' memory (PSS, MiB)."""

    name: str
    state: str
    pid: int
    memory_mb: int
    missing: str = ""

    @property
    def well(self) -> bool:
        """Whether it runs and is ready."""
        return self.state == "RUNNING" and not self.missing


@dataclass(frozen=True, kw_only=True)
class Observed:
    """What was seen; `problems` says in sentences what is not as it should be."""

    name: str
    services: list[ServiceState]
    agents: list[dict[str, Any]] = field(default_factory=list)
    computes: list[dict[str, Any]] = field(default_factory=list)
    hypervisors: list[dict[str, Any]] = field(default_factory=list)
    capacity: dict[str, dict[str, Any]] = field(default_factory=dict)
    machine: dict[str, int] = field(default_factory=dict)
    servers: list[dict[str, str]] = field(default_factory=list)
    faults: list[dict[str, str]] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """As plain values, for JSON."""
        return asdict(self) | {"healthy": not self.problems}


def observe(cloud: Cloud) -> Observed:
    """Look at every service, then at what the APIs say."""
    problems: list[str] = []
    services = _services(cloud, problems)
    try:
        if not uplink.is_open(cloud.config):
            problems.append(
                "Servers' traffic does not leave the host: forwarding or a firewall rule of ours is missing."
            )
    except NovaDockerError as error:
        problems.append(str(error))
    parts: dict[str, Any] = {}
    if any(service.name == "keystone" and service.well for service in services):
        parts = _apis(cloud, problems)
    return Observed(
        name=cloud.config.name,
        services=services,
        machine=cloud.machine.resources,
        problems=problems,
        **parts,
    )


def _services(cloud: Cloud, problems: list[str]) -> list[ServiceState]:
    declared = registry.services(cloud)
    groups: Mapping[str, Path] = {}
    processes: dict[str, Process] = {}
    try:
        supervision = choice.of(cloud, declared)
        groups = supervision.groups
        processes = supervision.supervisor.processes()
    except NovaDockerError as error:
        problems.append(str(error))

    def look(service: Service) -> ServiceState:
        process = processes.get(service.name)
        running = process is not None and process.running
        missing = (probes.missing(service.ready) or "") if running else ""
        return ServiceState(
            name=service.name,
            state=process.state if process else "STOPPED",
            pid=process.pid if process else 0,
            memory_mb=_memory_mb(groups[service.name], outlives=service.outlives) if groups else 0,
            missing=missing,
        )

    with ThreadPoolExecutor(max_workers=8) as pool:
        found = list(pool.map(look, declared.values()))
    problems += [words for name in declared if (words := restarts.restless(cloud.layout, name))]
    for state in found if processes else []:
        if not state.well:
            problems.append(
                f"{state.name} is {state.state.lower()}{': ' + state.missing if state.missing else ''}."
            )
    return found


def _memory_mb(group: Path, *, outlives: tuple[str, ...]) -> int:
    total = 0
    for pid in cgroups.members(group):
        try:
            process = psutil.Process(pid)
            # What holds servers is the servers' memory, not the control plane's.
            if process.name() not in outlives:
                total += process.memory_full_info().pss
        except psutil.Error:
            continue
    return total // (1024 * 1024)


def _apis(cloud: Cloud, problems: list[str]) -> dict[str, Any]:
    with session.administrator(cloud, project=session.PROJECT) as connection:
        asked: dict[str, Callable[[], Any]] = {
            "computes": lambda: [
                {"host": each.host, "binary": each.binary, "status": each.status, "state": each.state}
                for each in connection.compute.services()
            ],
            "hypervisors": lambda: [
                {"name": each.name, "type": each.hypervisor_type, "state": each.state}
                for each in connection.compute.hypervisors(details=True)
            ],
            "agents": lambda: [
                {"type": each.agent_type, "host": each.host, "alive": each.is_alive}
                for each in connection.network.agents()
            ],
            "servers": lambda: list(connection.compute.servers(all_projects=True)),
            "inventories": lambda: computes.inventories(connection),
        }
        with ThreadPoolExecutor(max_workers=len(asked)) as pool:
            answers = dict(
                zip(asked, pool.map(lambda name: _ask(name, asked[name], problems), asked), strict=True)
            )
    for each in answers["computes"] or []:
        if each["state"] != "up":
            problems.append(f"{each['binary']} on {each['host']} is {each['state']}.")
    for each in answers["agents"] or []:
        if not each["alive"]:
            problems.append(f"The {each['type']} on {each['host']} is not alive.")
    known = {each["host"] for each in answers["computes"] or [] if each["binary"] == "nova-compute"}
    for host in (cloud.hostname, cloud.docker_host):
        if answers["computes"] is not None and host not in known:
            problems.append(f"There is no nova-compute on {host}.")
    if answers["hypervisors"] is not None and len(answers["hypervisors"]) < 2:
        problems.append(f"Nova knows {len(answers['hypervisors'])} of the two hypervisors.")
    servers = answers.pop("servers") or []
    inventories = answers.pop("inventories") or {}
    offers = computes.offered(inventories)
    problems += [
        f"The hypervisors offer more than there is: {line}."
        for line in capacity.overbooked(offers, cloud.machine.resources)
    ]
    kinds = {cloud.docker_host: "container", cloud.hostname: "VM"}
    return {
        **{name: answer or [] for name, answer in answers.items()},
        "capacity": {
            name: {kind: stock["total"] - stock["reserved"] for kind, stock in inventory.items()}
            for name, inventory in inventories.items()
        },
        "servers": [
            {"kind": kind, "status": status, "count": str(count)}
            for (kind, status), count in sorted(
                Counter(
                    (kinds.get(each.compute_host or "", "unplaced"), each.status) for each in servers
                ).items()
            )
        ],
        "faults": [
            {"server": each.name, "id": each.id, "fault": (each.fault or {}).get("message", "")}
            for each in sorted(servers, key=lambda each: each.updated_at or "", reverse=True)
            if each.status == "ERROR"
        ][:5],
    }


def _ask(name: str, question: Callable[[], T], problems: list[str]) -> T | None:
    try:
        return question()
    except Exception as error:  # noqa: BLE001 - whatever an API throws is what there is to report
        problems.append(f"The list of {name} could not be had: {error}")
        return None
