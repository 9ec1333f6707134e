# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""Facts of the machine the cloud is to stand on. Looking changes nothing."""

import os
import shutil
import socket
from dataclasses import dataclass
from pathlib import Path

import psutil

MIB = 1024 * 1024
GIB = 1024 * MIB


@dataclass(frozen=True, kw_only=True)
class Machine:
    """What this machine has.

    :ivar memory_mb: physical memory, MiB.
    :ivar disk_gb, disk_free_gb: size and free part of the file system that will hold the root, GiB.
    :ivar uplink_mtu: MTU of the interface with the default route, bytes; 1500 if there is none.
    :ivar kernel_datapath: whether the kernel has Open vSwitch's datapath (else: userspace, `netdev`).
    """

    hostname: str
    cpus: int
    memory_mb: int
    disk_gb: int
    disk_free_gb: int
    uplink_mtu: int
    kernel_datapath: bool

    @property
    def resources(self) -> dict[str, int]:
        """What there is to hand out, by Placement's resource class."""
        return {"VCPU": self.cpus, "MEMORY_MB": self.memory_mb, "DISK_GB": self.disk_gb}


def look(root: Path) -> Machine:
    """Read the facts, for a cloud under `root`."""
    place = root
    while not place.exists():
        place = place.parent
    disk = shutil.disk_usage(place)
    return Machine(
        hostname=socket.gethostname(),
        cpus=os.cpu_count() or 1,
        memory_mb=psutil.virtual_memory().total // MIB,
        disk_gb=disk.total // GIB,
        disk_free_gb=disk.free // GIB,
        uplink_mtu=_uplink_mtu(),
        kernel_datapath=Path("/sys/module/openvswitch").is_dir(),
    )


def _uplink_mtu() -> int:
    # /proc/net/route: destination 0 with mask 0 is the default route (proc_net_route(5)).
    for line in Path("/proc/net/route").read_text().splitlines()[1:]:
        fields = line.split()
        if fields[1] == "00000000" and fields[7] == "00000000":
            return int(Path(f"/sys/class/net/{fields[0]}/mtu").read_text())
    return 1500
