# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""Processors as Nova keeps them: a host's NUMA topology, and which processors a server was given."""

from collections.abc import Iterable
from typing import Any

from nova import exception, objects

from novadocker.virt.docker.processors import Node, Processors, listed


def of_host(nodes: Iterable[Node], ours: Processors) -> str | None:
    """Return what the resource tracker keeps of a host whose processors can be dedicated; None for others."""
    if not ours.dedicated:
        return None
    cells = [
        objects.NUMACell(
            id=node.id,
            socket=None,
            cpuset=set(node.cpus & ours.shared),
            pcpuset=set(node.cpus & ours.dedicated),
            memory=node.memory_mb,
            cpu_usage=0,
            memory_usage=0,
            pinned_cpus=set(),
            siblings=[set(core & (ours.shared | ours.dedicated)) for core in node.cores
                      if core & (ours.shared | ours.dedicated)],
            mempages=[objects.NUMAPagesTopology(size_kb=4, total=node.memory_mb * 256, used=0, reserved=0)],
            network_metadata=objects.NetworkMetadata(physnets=set(), tunneled=False),
        )
        for node in nodes
    ]  # fmt: skip
    return str(objects.NUMATopology(cells=cells)._to_json())


def of_server(instance: Any, ours: Processors) -> tuple[str, str]:
    """Return the processors and the memory nodes of a server, listed; empty for every one there is."""
    if not ours.divided:
        return "", ""
    wanted = instance.numa_topology if ours.dedicated else None
    if wanted is None:
        return listed(ours.shared), ""
    cpus = {cpu for cell in wanted.cells for cpu in (cell.cpu_pinning or {}).values()}
    if any(cell.cpuset for cell in wanted.cells):  # those that are no server's own
        cpus |= ours.shared
    return listed(cpus), listed(cell.id for cell in wanted.cells)


def neighbours(context: Any, *, host: str, ours: str) -> list[tuple[str, frozenset[int]]]:
    """Return the other hypervisors of a machine that Nova knows, and the processors they may use."""
    if host == ours:
        return []
    try:
        found = objects.ComputeNodeList.get_all_by_host(context, host)
    except exception.ComputeHostNotFound:
        return []
    return [
        (node.hypervisor_hostname, _used(objects.NUMATopology.obj_from_db_obj(node.numa_topology)))
        for node in found
        if node.numa_topology
    ]


def _used(topology: Any) -> frozenset[int]:
    return frozenset(cpu for cell in topology.cells for cpu in cell.cpuset | cell.pcpuset)
