# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""What this host offers, for the resource tracker and for Placement."""

import os
import time
from collections.abc import Collection
from pathlib import Path
from typing import Any

import os_resource_classes as orc
import os_traits

from novadocker.virt.docker.capabilities import TRAIT
from novadocker.virt.docker.facts import EngineFacts
from novadocker.virt.docker.processors import Processors

GIB = 1 << 30
MIB = 1 << 20

# Of Placement's traits of processors those that a process in a container can make use of, by the kernel's
# words (arch/x86/include/asm/cpufeatures.h). Virtualisation is not its to use.
_PROCESSOR_TRAITS = {
    flag: getattr(os_traits, f"HW_CPU_X86_{name}")
    for flag, name in {
        "mmx": "MMX", "sse": "SSE", "sse2": "SSE2", "pni": "SSE3", "ssse3": "SSSE3", "sse4_1": "SSE41",
        "sse4_2": "SSE42", "sse4a": "SSE4A", "avx": "AVX", "avx2": "AVX2", "fma": "FMA3", "f16c": "F16C",
        "aes": "AESNI", "pclmulqdq": "CLMUL", "bmi1": "BMI", "bmi2": "BMI2", "sha_ni": "SHA", "rtm": "TSX",
        "avx512f": "AVX512F", "avx512cd": "AVX512CD", "avx512bw": "AVX512BW", "avx512dq": "AVX512DQ",
        "avx512vl": "AVX512VL", "avx512_vnni": "AVX512VNNI",
    }.items()
}  # fmt: skip

# A record of utmp(5), and the type of one that stands for somebody's session.
_UTMP_RECORD, _USER_PROCESS = 384, 7


def disk_gb(facts: EngineFacts) -> tuple[int, int]:
    """Return the size and the free space, in whole GiB, of the file system containers live on."""
    place = Path(facts.root_dir)
    while not place.exists():  # another mount namespace's view; its nearest parent here
        place = place.parent
    found = os.statvfs(place)
    return found.f_blocks * found.f_frsize // GIB, found.f_bavail * found.f_frsize // GIB


def available(facts: EngineFacts, *, hostname: str, architecture: str) -> dict[str, Any]:
    """Return the dictionary Nova's resource tracker keeps of a compute node."""
    total, free = disk_gb(facts)
    return {
        "vcpus": facts.cpus,
        "memory_mb": facts.memory_bytes // MIB,
        "local_gb": total,
        # The tracker sums up what its servers use by itself.
        "vcpus_used": 0,
        "memory_mb_used": 0,
        "local_gb_used": 0,
        "disk_available_least": free,
        "cpu_info": f'{{"arch": "{architecture}"}}',
        "numa_topology": None,
        "hypervisor_type": "docker",
        "hypervisor_version": facts.version_number,
        "hypervisor_hostname": hostname,
        "supported_instances": [(architecture, "docker", "exe")],
        "stats": {"docker_storage_driver": facts.storage_driver, "uptime": uptime()},
    }


def inventory(
    facts: EngineFacts,
    cpus: Processors,
    *,
    ratios: dict[str, float],
    reserved: dict[str, int],
    present: dict[str, Any],
) -> dict[str, Any]:
    """Return a provider's inventory: ours set, what others put there kept."""
    totals = {
        orc.VCPU: len(cpus.shared) if cpus.divided else facts.cpus,
        orc.PCPU: len(cpus.dedicated),
        orc.MEMORY_MB: facts.memory_bytes // MIB,
        orc.DISK_GB: disk_gb(facts)[0],
    }
    ours = {
        kind: {
            "total": total,
            "min_unit": 1,
            "max_unit": total,
            "step_size": 1,
            "allocation_ratio": 1.0 if kind == orc.PCPU else ratios[kind],
            # Placement refuses to reserve more than there is.
            "reserved": min(reserved[kind], total),
        }
        for kind, total in totals.items()
        if total > 0
    }
    return {**{kind: record for kind, record in present.items() if kind not in totals}, **ours}


def traits(present: set[str], *, flags: Collection[str] = ()) -> set[str]:
    """Return a provider's traits with the one that says what kind of host this is, and its processors'.

    :param flags: what the kernel says the processors have.
    """
    theirs = set(_PROCESSOR_TRAITS.values())
    ours = {trait for flag, trait in _PROCESSOR_TRAITS.items() if flag in flags}
    return (present - theirs) | ours | {TRAIT}


def processor_flags(proc: Path = Path("/proc")) -> set[str]:
    """Return what the kernel says the first processor has; all are alike."""
    for line in (proc / "cpuinfo").read_text().splitlines():
        key, _, value = line.partition(":")
        if key.strip() in {"flags", "Features"}:
            return set(value.split())
    return set()


def uptime(*, proc: Path = Path("/proc"), sessions: Path = Path("/run/utmp")) -> str:
    """Return the host's time, uptime, users and load as uptime(1) words them, which clients take apart."""
    seconds = int(float((proc / "uptime").read_text().split()[0]))
    load = ", ".join((proc / "loadavg").read_text().split()[:3])
    days, rest = divmod(seconds, 86400)
    since = f"{days} days, " if days > 1 else "1 day, " if days else ""
    records = sessions.read_bytes() if sessions.exists() else b""
    users = sum(
        int.from_bytes(records[at : at + 2], "little") == _USER_PROCESS
        for at in range(0, len(records), _UTMP_RECORD)
    )
    return (
        f" {time.strftime('%H:%M:%S')} up {since}{rest // 3600}:{rest % 3600 // 60:02},  {users} users,"
        f"  load average: {load}"
    )
