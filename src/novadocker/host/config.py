# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""What the user may choose about the cloud; every field has a default that works."""

import hashlib
import ipaddress
import re
from dataclasses import dataclass, field
from pathlib import Path

from novadocker.errors import NovaDockerError

DEFAULT_NAME = "nova-docker"
BACKENDS = ("ovn", "ovs")

# The ports people know these programs by; `up` moves one that another program holds, and remembers where to.
USUAL_PORTS = {
    "keystone": 5000,
    "glance": 9292,
    "placement": 8778,
    "nova-api": 8774,
    "nova-metadata": 8775,
    "nova-serialproxy": 6083,
    "docker-consoles": 6085,
    "neutron": 9696,
    "rabbitmq": 25671,
    "rabbitmq-dist": 25672,
    "epmd": 24369,
    "openflow": 6633,
}


@dataclass(frozen=True, kw_only=True)
class HostConfig:
    """One cloud on this machine: its name, its folders, its networks.

    `root` holds all that lasts, `run_dir` all that a reboot may lose.

    :ivar file: where what the user chose was read.
    :ivar ports: what each server listens on, or, before `up` has decided, what it listens on usually.
    :ivar wanted_ports: those the user named.
    :ivar wanted: names of the other fields that the user chose; what `up` may choose, it leaves these.
    :ivar capacity_percent: how much of the machine, beside what the cloud itself needs, servers may have.
    :ivar devstack: whether clients also find the cloud under the names that DevStack gives.
    :ivar options: options of upstream programs, by rendered file (as `nova/nova.conf`), section and name.
    """

    name: str = DEFAULT_NAME
    file: Path | None = None
    root: Path = Path("/var/lib/nova-docker")
    run_dir: Path = Path("/run/nova-docker")
    region: str = "RegionOne"
    user: str = "nova-docker"
    external_cidr: str = "172.24.4.0/24"
    private_cidr: str = "10.20.0.0/24"
    network_backend: str = "ovn"
    integration_bridge: str = "ndk-int"
    external_bridge: str = "ndk-ex"
    tunnel_bridge: str = "ndk-tun"
    capacity_percent: int = 100
    devstack: bool = False
    wanted: frozenset[str] = frozenset()
    ports: dict[str, int] = field(default_factory=lambda: dict(USUAL_PORTS))
    wanted_ports: dict[str, int] = field(default_factory=dict)
    options: dict[str, dict[str, dict[str, str]]] = field(default_factory=dict)

    @property
    def external_gateway(self) -> str:
        """The host's own address on the external network, which its router uses as the next hop."""
        return str(next(ipaddress.ip_network(self.external_cidr).hosts()))

    @property
    def external_prefix(self) -> int:
        """The length of the external network's prefix, in bits."""
        return ipaddress.ip_network(self.external_cidr).prefixlen


def usual(name: str, *, root: Path | None = None, run_dir: Path | None = None) -> HostConfig:
    """The configuration where only the name is chosen: no two names share a folder or a bridge."""
    short = "ndk"
    if name != DEFAULT_NAME:
        # Eleven characters, and four for the end, are all that an interface's name holds.
        digest = hashlib.sha256(name.encode()).hexdigest()[:4]
        short = name if len(name) <= 11 and name != "ndk" else f"{name[:6]}-{digest}"
    return HostConfig(
        name=name,
        root=root or Path("/var/lib") / name,
        run_dir=run_dir or Path("/run") / name,
        integration_bridge=f"{short}-int",
        external_bridge=f"{short}-ex",
        tunnel_bridge=f"{short}-tun",
    )


def check(config: HostConfig) -> None:
    """Refuse a configuration that cannot work, naming every problem at once.

    :raises NovaDockerError: with one line per problem in its facts.
    """
    found = problems(config)
    if found:
        raise NovaDockerError("The configuration cannot work.", facts="\n".join(found))


def problems(config: HostConfig) -> list[str]:
    """Return what cannot work, each problem as `field: what is wanted; what was got`."""
    problems = []
    if not re.fullmatch(r"[a-z][a-z0-9-]{0,30}", config.name):
        problems.append(
            f"name: small letters, digits and hyphens, at most 31, a letter first; got {config.name!r}"
        )
    # systemd has the slice of the usual name within that of its first part.
    if DEFAULT_NAME.startswith(f"{config.name}-"):
        problems.append(
            f"name: another than {config.name}, which systemd takes for what holds {DEFAULT_NAME}"
        )
    for label, path in (("root", config.root), ("run_dir", config.run_dir)):
        # `down` removes both whole: neither may be a folder that a system has of itself.
        if not path.is_absolute() or len(path.parts) < 3 or ".." in path.parts:
            problems.append(f"{label}: an absolute path of two steps or more, without ..; got {path}")
        # They stand in shell lines and in the settings of a dozen programs; in supervisord's % has a meaning.
        if not re.fullmatch(r"[A-Za-z0-9._/-]+", str(path)):
            problems.append(f"{label}: letters, digits, dots, hyphens and underscores; got {path}")
    if (
        config.run_dir == config.root
        or config.run_dir in config.root.parents
        or config.root in config.run_dir.parents
    ):
        problems.append(f"run_dir: outside of root; got {config.run_dir} and {config.root}")
    # A unix socket's path holds 107 bytes (unix(7)); libvirt's monitor sockets are our longest.
    if len(str(config.run_dir)) > 40:
        problems.append(
            f"run_dir: at most 40 characters, for the sockets in it; got {len(str(config.run_dir))}"
        )
    if not re.fullmatch(r"[A-Za-z0-9_-]{1,64}", config.region):
        problems.append(f"region: letters, digits, hyphens and underscores; got {config.region!r}")
    if not 1 <= config.capacity_percent <= 100:
        problems.append(f"capacity_percent: from 1 to 100; got {config.capacity_percent}")
    shared: dict[int, str] = {}
    for name, port in {**config.ports, **config.wanted_ports}.items():
        if port in shared:
            problems.append(f"ports.{name}: another than that of {shared[port]}; got {port}")
        shared[port] = name
    networks = []
    for label, cidr in (("external_cidr", config.external_cidr), ("private_cidr", config.private_cidr)):
        try:
            network = ipaddress.IPv4Network(cidr)
        except ValueError as error:
            problems.append(f"{label}: an IPv4 network; {error}")
        else:
            networks.append(network)
            # Room for the gateway, the router, and addresses from the tenth on.
            if network.prefixlen > 27:
                problems.append(f"{label}: at least 32 addresses, /27; got {cidr}")
    if len(networks) == 2 and networks[0].overlaps(networks[1]):
        problems.append(f"private_cidr: apart from external_cidr; got {networks[1]} and {networks[0]}")
    if config.network_backend not in BACKENDS:
        problems.append(f"network_backend: {' or '.join(BACKENDS)}; got {config.network_backend!r}")
    bridges: dict[str, str] = {}
    for label in ("integration_bridge", "external_bridge", "tunnel_bridge"):
        bridge = getattr(config, label)
        # The kernel's IFNAMSIZ is 16, with the zero at the end.
        if not re.fullmatch(r"[A-Za-z0-9._-]{1,15}", bridge):
            problems.append(f"{label}: an interface's name, at most 15 characters; got {bridge!r}")
        if bridge in bridges:
            problems.append(f"{label}: another than {bridges[bridge]}; got {bridge}")
        bridges.setdefault(bridge, label)
    return problems
