# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""What a server has used: its processor time, memory, interfaces and disk, as the kernel counts them."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from novadocker.virt.docker import usage as kernel
from novadocker.virt.docker.containers import Containers
from novadocker.virt.docker.doors import Netlink
from novadocker.virt.docker.errors import NotFound
from novadocker.virt.docker.usage import Usage

_KIB, _MIB = 1 << 10, 1 << 20


@dataclass(frozen=True, kw_only=True)
class Traffic:
    """What went through an interface, from the server's side. Sizes in bytes."""

    name: str
    mac: str
    counters: dict[str, int]


# The columns of /proc/PID/net/dev that somebody asks for (net/core/net-procfs.c), by Nova's names.
_COLUMNS = {
    "rx_octets": 0, "rx_packets": 1, "rx_errors": 2, "rx_drop": 3,
    "tx_octets": 8, "tx_packets": 9, "tx_errors": 10, "tx_drop": 11,
}  # fmt: skip


class Diagnostics:
    """The counters of this host's servers."""

    def __init__(self, *, containers: Containers, netlink: Netlink, proc: Path = Path("/proc")) -> None:
        self._containers = containers
        self._netlink = netlink
        self._proc = proc

    def usage(self, uuid: str) -> Usage:
        """Return what a server's processes have used; raises NotFound where it has none."""
        found = self._containers.workload(uuid)
        if found is None or not found.running:
            raise NotFound("The server does not run.")
        return kernel.usage(found.pid, proc=self._proc)

    def traffic(self, uuid: str) -> list[Traffic]:
        """Return what went through a server's interfaces, by their names inside."""
        found, namespace = self._containers.workload(uuid), self._containers.namespace(uuid)
        if found is None or not found.running or namespace is None:
            raise NotFound("The server does not run.")
        macs = self._netlink.inside(namespace=namespace)
        text = (self._proc / str(found.pid) / "net/dev").read_text()
        return [
            Traffic(name=name, mac=macs[name], counters=counters)
            for name, counters in sorted(interface_counters(text).items())
            if name in macs
        ]


def interface_counters(text: str) -> dict[str, dict[str, int]]:
    """Return the counters of each interface in the text of /proc/PID/net/dev."""
    found = {}
    for line in text.splitlines()[2:]:
        name, _, values = line.partition(":")
        columns = values.split()
        found[name.strip()] = {key: int(columns[at]) for key, at in _COLUMNS.items()}
    return found


def legacy(usage: Usage, traffic: list[Traffic], *, memory_mb: int) -> dict[str, Any]:
    """Return them as the API did before 2.48, under libvirt's names: memory in KiB, times in nanoseconds."""
    interfaces = {
        f"{one.name}_{key.removesuffix('_octets')}": value
        for one in traffic
        for key, value in one.counters.items()
    }
    (read_requests, read), (write_requests, written) = usage.reads, usage.writes
    return {
        "cpu0_time": usage.cpu_time,
        "memory": memory_mb * _KIB,
        "memory-actual": memory_mb * _KIB,
        "memory-rss": usage.memory // _KIB,
        "root_read": read,
        "root_read_req": read_requests,
        "root_write": written,
        "root_write_req": write_requests,
        "root_errors": -1,
        **interfaces,
    }


def detailed(usage: Usage, traffic: list[Traffic], *, cpus: int, memory_mb: int) -> dict[str, Any]:
    """Return the values of Nova's object: memory in MiB, times in nanoseconds.

    Nobody counts the time of a container's processors one by one: the first carries all.
    """
    (read_requests, read), (write_requests, written) = usage.reads, usage.writes
    return {
        "cpus": [{"id": number, "time": None if number else usage.cpu_time} for number in range(cpus)],
        "nics": [{"mac_address": one.mac, **one.counters} for one in traffic],
        "disks": [
            {
                "read_bytes": read,
                "read_requests": read_requests,
                "write_bytes": written,
                "write_requests": write_requests,
            }
        ],
        # Begun ones count whole: a small container would be told to use none.
        "memory": {"maximum": memory_mb, "used": -(-usage.memory // _MIB)},
    }
