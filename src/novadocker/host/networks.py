# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""Which addresses and bridges a cloud takes, beside what the machine and its other clouds have; all pure."""

import ipaddress
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from novadocker.errors import NovaDockerError
from novadocker.host.config import HostConfig

# What holds from the first `up` on.
FIXED = (
    "region",
    "network_backend",
    "external_cidr",
    "private_cidr",
    "integration_bridge",
    "external_bridge",
    "tunnel_bridge",
)
# The interface by which the kernel's Open vSwitch datapath is seen to be in use.
KERNEL_DATAPATH = "ovs-system"
_BRIDGES = ("integration_bridge", "external_bridge", "tunnel_bridge")
# A bridge of a switch, of the kernel's or the userspace datapath: one that was killed leaves it.
_OURS_PERHAPS = ("openvswitch", "tun")
_TRIES = 64


@dataclass(frozen=True)
class Present:
    """What the machine's network has.

    :ivar kinds: the kind of each interface, by name; empty for a device without one.
    :ivar routes: destinations and the interface they lead to, but for the default route.
    """

    kinds: Mapping[str, str]
    routes: Sequence[tuple[str, str]]


def remembered(chosen: HostConfig, fixed: Mapping[str, str], *, whole: bool = False) -> HostConfig:
    """`chosen` with what holds since the first `up`, but for what the user names; `whole`: all of it."""
    known = {
        name: value for name, value in fixed.items() if name in FIXED and (whole or name not in chosen.wanted)
    }
    return replace(chosen, **known)  # type: ignore[arg-type]


def resolved(
    chosen: HostConfig, fixed: Mapping[str, str], *, present: Present, others: Sequence[Mapping[str, str]]
) -> HostConfig:
    """`chosen` with what is remembered, and with floating IPs that nobody else has where nothing is yet.

    :param fixed: what is remembered of this cloud.
    :param others: what is remembered of the machine's other clouds.
    :raises NovaDockerError: if what the user names, or what is remembered, is somebody else's now.
    """
    config = remembered(chosen, fixed)
    theirs = [
        f"{name} {getattr(config, name)} is a bridge of another cloud of this machine"
        for name in _BRIDGES
        if any(getattr(config, name) in (other.get(each) for each in _BRIDGES) for other in others)
    ]
    up = present.kinds.get(config.external_bridge) in _OURS_PERHAPS
    if not up:
        theirs += [
            f"{name} {getattr(config, name)} is an interface of this machine"
            for name in _BRIDGES
            if present.kinds.get(getattr(config, name), _OURS_PERHAPS[0]) not in _OURS_PERHAPS
        ]
    if "external_cidr" not in chosen.wanted and "external_cidr" not in fixed:
        config = replace(config, external_cidr=_free(config, present, others))
    elif not up or not fixed:
        theirs += [
            f"external_cidr {config.external_cidr} is {whose}"
            for whose in _holders(config.external_cidr, config, present, others)
        ]
    if theirs:
        raise NovaDockerError(
            "Something of this machine already has what the cloud is to have.",
            facts="\n".join(theirs),
            hint="Name others under [network] in the configuration, or end what has them.",
        )
    return config


def _free(config: HostConfig, present: Present, others: Sequence[Mapping[str, str]]) -> str:
    """The first network from the usual one on that overlaps nobody's; the usual one if there is none."""
    first = ipaddress.IPv4Network(config.external_cidr)
    taken = [ipaddress.IPv4Network(config.private_cidr)]
    taken += [ipaddress.IPv4Network(to) for to, device in present.routes if device != config.external_bridge]
    taken += [ipaddress.IPv4Network(other["external_cidr"]) for other in others if "external_cidr" in other]
    for step in range(_TRIES):
        network = ipaddress.IPv4Network(
            (int(first.network_address) + step * first.num_addresses, first.prefixlen)
        )
        if not any(network.overlaps(each) for each in taken):
            return str(network)
    return str(first)


def _holders(
    cidr: str, config: HostConfig, present: Present, others: Sequence[Mapping[str, str]]
) -> list[str]:
    """Who has addresses within `cidr`; a wider route (a VPN's, say) is no conflict: the narrower one wins."""
    network = ipaddress.IPv4Network(cidr)
    found = [
        f"routed to {device} ({to})"
        for to, device in present.routes
        if device != config.external_bridge and ipaddress.IPv4Network(to).subnet_of(network)
    ]
    return found + [
        "that of another cloud of this machine"
        for other in others
        if "external_cidr" in other and network.overlaps(ipaddress.IPv4Network(other["external_cidr"]))
    ]
