# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""One machine's capacity, counted once: which share each of the two hypervisors may hand out."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from novadocker.errors import NovaDockerError
from novadocker.host.machine import Machine

# What the control plane, the daemons and the kernel keep for themselves.
OWN_MEMORY_MB = 4096
OWN_DISK_GB = 4

# A container's vCPU is a weight and a cap, no processor put aside, and an idle one costs nothing: how many
# there can be is for memory to say. (A node of Kubernetes has 110 pods, however many processors.)
_CONTAINERS = 128
_OVERCOMMIT = 8.0


@dataclass(frozen=True, kw_only=True)
class Share:
    """What one provider reports: Nova offers total minus reserved (times the overcommit ratio)."""

    vcpus: int
    reserved_vcpus: int
    memory_mb: int
    reserved_memory_mb: int
    disk_gb: int
    reserved_disk_gb: int


@dataclass(frozen=True, kw_only=True)
class Split:
    """The two shares; their offers add up to no more than the machine has."""

    libvirt: Share
    docker: Share

    def to_dict(self) -> dict[str, Any]:
        """As plain values, to be remembered."""
        return asdict(self)

    def offers(self) -> dict[str, int]:
        """What both may hand out together, by Placement's resource class."""
        both = (self.libvirt, self.docker)
        return {
            "VCPU": sum(each.vcpus - each.reserved_vcpus for each in both),
            "MEMORY_MB": sum(each.memory_mb - each.reserved_memory_mb for each in both),
            "DISK_GB": sum(each.disk_gb - each.reserved_disk_gb for each in both),
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "Split":
        """From what `to_dict` gave."""
        return cls(libvirt=Share(**values["libvirt"]), docker=Share(**values["docker"]))


def split(machine: Machine, *, percent: int = 100, clouds: int = 1) -> Split:
    """Divide the machine: half of what the cloud itself does not need to each hypervisor.

    Both report the whole machine as their total, because Placement lets no single server ask for more than
    the total (`max_unit`): a flavor of as many vCPUs as the machine has fits either. What the other one may
    use is reserved.

    :param percent: how much of what is not needed servers may have.
    :param clouds: how many clouds are on the machine, each with needs of its own.
    :raises NovaDockerError: if the machine is too small to be divided.
    """
    if machine.cpus < 2:
        raise NovaDockerError(
            "Two hypervisors need two processors.", facts=f"This machine has {machine.cpus}."
        )
    disk = (machine.disk_free_gb - OWN_DISK_GB) * percent // 100
    if disk < 4:
        raise NovaDockerError(
            "There is too little room for the cloud's servers.",
            facts=f"{machine.disk_free_gb} GiB are free, {OWN_DISK_GB + -(-400 // percent)} are needed.",
            hint="Free some, or choose another --root.",
        )
    return _shares(machine, percent=percent, clouds=clouds, disk=disk)


def resplit(before: Split, machine: Machine, *, percent: int, clouds: int) -> Split:
    """Divide anew, but for the disk: dockerd's storage has been made to the size of its share."""
    anew = _shares(machine, percent=percent, clouds=clouds, disk=0)
    return Split(
        libvirt=_with_disk_of(before.libvirt, anew.libvirt), docker=_with_disk_of(before.docker, anew.docker)
    )


def _with_disk_of(before: Share, anew: Share) -> Share:
    return replace(anew, disk_gb=before.disk_gb, reserved_disk_gb=before.reserved_disk_gb)


def _shares(machine: Machine, *, percent: int, clouds: int, disk: int) -> Split:
    own_memory = min(OWN_MEMORY_MB * clouds, machine.memory_mb // 2)
    memory = (machine.memory_mb - own_memory) * percent // 100
    cpus = max(2, machine.cpus * percent // 100)
    docker_cpus = (cpus + 1) // 2
    docker = _share(machine, cpus=docker_cpus, memory_mb=memory // 2, disk_gb=disk // 2)
    return Split(
        # dockerd's storage is a file system of just its share's size, of which nothing is anybody else's.
        docker=replace(docker, disk_gb=disk // 2, reserved_disk_gb=0),
        libvirt=_share(machine, cpus=cpus - docker_cpus, memory_mb=memory // 2, disk_gb=disk // 2),
    )


def _share(machine: Machine, *, cpus: int, memory_mb: int, disk_gb: int) -> Share:
    return Share(
        vcpus=machine.cpus, reserved_vcpus=machine.cpus - cpus,
        memory_mb=machine.memory_mb, reserved_memory_mb=machine.memory_mb - memory_mb,
        disk_gb=machine.disk_gb, reserved_disk_gb=machine.disk_gb - disk_gb,
    )  # fmt: skip


def processor_ratio(share: Share) -> float:
    """How often a share's processors are handed out to containers."""
    return max(_OVERCOMMIT, _CONTAINERS / (share.vcpus - share.reserved_vcpus))


def overbooked(offers: Mapping[str, Sequence[int]], has: Mapping[str, int]) -> list[str]:
    """Name the resources of which the providers together offer more than the machine has.

    :param offers: for VCPU, MEMORY_MB and DISK_GB, each provider's total minus reserved.
    :param has: what the machine has of them.
    """
    return [
        f"{name}: {' + '.join(map(str, offered))} offered, the machine has {has[name]}"
        for name, offered in offers.items()
        if sum(offered) > has[name]
    ]
