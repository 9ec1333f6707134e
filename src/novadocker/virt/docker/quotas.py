# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""What a flavor's `quota:*` extra specs, which are Nova's own, mean for a container (pure).

Nova checks them at its API; the same names mean the same for libvirt's VMs, which read cpu_quota as the
allowance of each vCPU. Those of VMware and of network interfaces are read by nobody here: a port's bandwidth
is Neutron's.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from novadocker.extra_specs import BadExtraSpec

_PERIOD = 100_000
# Docker refuses others: the kernel's bounds of a weight, and of a period in microseconds.
_SHARES = (2, 262_144)
_PERIODS = (1_000, 1_000_000)
_LEAST_QUOTA = 1_000

RATES = tuple(f"{way}_{unit}" for way in ("read", "write") for unit in ("bytes", "iops"))


@dataclass(frozen=True, kw_only=True)
class Quotas:
    """Weight, cap and rates of a container.

    :ivar cpu_shares: its weight where processors are wanted by several.
    :ivar cpu_quota: microseconds of processor time in each `cpu_period`; 0 for as much as there is.
    :ivar rates: read_bytes, read_iops, write_bytes and write_iops, in each second; what is absent is free.
    """

    cpu_shares: int
    cpu_period: int = _PERIOD
    cpu_quota: int = 0
    rates: Mapping[str, int] = field(default_factory=dict)


def parse(extra_specs: Mapping[str, str], *, vcpus: int) -> Quotas:
    """Return the quotas of a flavor; a cap of its vCPUs where it says nothing.

    :raises: BadExtraSpec
    """
    shares = _number(extra_specs, "cpu_shares") or min(1024 * vcpus, _SHARES[1])
    period = _number(extra_specs, "cpu_period") or _PERIOD
    quota = _number(extra_specs, "cpu_quota") or period
    if not _SHARES[0] <= shares <= _SHARES[1]:
        raise _beyond("cpu_shares", shares, *_SHARES)
    if not _PERIODS[0] <= period <= _PERIODS[1]:
        raise _beyond("cpu_period", period, *_PERIODS)
    if 0 <= quota < _LEAST_QUOTA:
        raise BadExtraSpec(f"The flavor's extra spec 'quota:cpu_quota' is {quota}, less than {_LEAST_QUOTA}.")
    return Quotas(
        cpu_shares=shares, cpu_period=period, cpu_quota=max(quota * vcpus, 0), rates=_rates(extra_specs)
    )


def _rates(extra_specs: Mapping[str, str]) -> dict[str, int]:
    found = {}
    for rate in RATES:
        way, unit = rate.split("_")
        own, both = (_number(extra_specs, f"disk_{each}_{unit}_sec") for each in (way, "total"))
        if own and both:
            raise BadExtraSpec(
                f"The flavor has both 'quota:disk_{way}_{unit}_sec' and 'quota:disk_total_{unit}_sec'.",
                hint="One of them says it.",
            )
        if own or both:
            found[rate] = own or both
    return found


def _number(extra_specs: Mapping[str, str], name: str) -> int:
    text = extra_specs.get(f"quota:{name}", "0")
    try:
        return int(text)
    except ValueError as error:
        raise BadExtraSpec(f"The flavor's extra spec 'quota:{name}' is no number: '{text}'.") from error


def _beyond(name: str, value: int, least: int, most: int) -> BadExtraSpec:
    return BadExtraSpec(f"The flavor's extra spec 'quota:{name}' is {value}, not from {least} to {most}.")
