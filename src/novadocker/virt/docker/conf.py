# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""The [docker] options, and the plain values the rooms read them from."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from oslo_config import cfg

GROUP = cfg.OptGroup("docker", title="Docker driver", help="Servers that are Docker containers.")

OPTIONS = [
    cfg.StrOpt(
        "host",
        default="unix:///var/run/docker.sock",
        help="The Docker daemon's address. A unix socket: the driver wires the network on the same machine.",
    ),
    cfg.StrOpt(
        "binding_host",
        default="",
        help="The name under which Neutron knows this machine's OVN chassis or Open vSwitch agent. "
        "Empty: the same as [DEFAULT] host. Set it where nova-compute for libvirt runs beside this one.",
    ),
    cfg.StrOpt(
        "network_backend",
        default="ovn",
        choices=["ovn", "ovs"],
        help="Who makes ports work: OVN, or Neutron's Open vSwitch agent. With ovn the driver starts "
        "a process as soon as ovn-controller marks its port as installed, before Neutron's own event.",
    ),
    cfg.IntOpt(
        "port_ready_timeout",
        default=20,
        min=1,
        help="Seconds to wait for a server's ports to work before its boot fails with the cause.",
    ),
    cfg.StrOpt(
        "cgroup_parent",
        default="",
        help="The control group containers are placed below (cgroupfs driver only). Empty: Docker's own.",
    ),
    cfg.IntOpt("pids_limit", default=4096, min=16, help="The most processes and threads a server may have."),
    cfg.IntOpt("api_timeout", default=60, min=5, help="Seconds to wait for one answer of the Docker daemon."),
    cfg.BoolOpt(
        "init",
        default=True,
        help="Run an init process (docker-init) as process 1, which passes signals on and reaps orphans. "
        "Images whose own command is an init system are left alone.",
    ),
    cfg.FloatOpt(
        "start_watch",
        default=0.1,
        min=0.0,
        help="Seconds to watch a new server's process: one that fails within them makes the boot fail.",
    ),
    cfg.StrOpt(
        "start_gates",
        default="",
        help="The folder of which nova-docker's runtime for dockerd was told that starts wait there for a "
        "gate: a server's process is then made ready while its network is, and begins when that works. "
        "Empty: it is made ready afterwards.",
    ),
    cfg.StrOpt(
        "namespaces",
        default="",
        help="The folder in which nova-docker's runtime for dockerd was told to look for the namespaces of a "
        "container: each server's are kept there by mounts, which containerd has to see: nova-compute is "
        "to share its mount namespace. Empty, or where that runtime does not look there: a second container "
        "of each server holds them, which takes longer to make, and some MiB; servers that have none are "
        "made again with their next hard reboot.",
    ),
    cfg.PortOpt(
        "console_port",
        default=6085,
        help="The TCP port on [serial_console] proxyclient_address at which nova-serialproxy finds the "
        "interactive consoles of all containers, where [serial_console] enabled is set.",
    ),
    cfg.IntOpt(
        "image_limit_gb",
        default=64,
        min=1,
        help="The most disk an image may take unpacked, where the flavor's root disk sets no limit.",
    ),
]


def list_opts() -> list[tuple[cfg.OptGroup, list[cfg.Opt]]]:
    """Return the options for oslo.config's sample generator."""
    return [(GROUP, OPTIONS)]


def register(conf: cfg.ConfigOpts) -> None:
    """Make the options known to a configuration; any number of times."""
    conf.register_group(GROUP)
    conf.register_opts(OPTIONS, group=GROUP)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What the driver was told, as plain values.

    :ivar console_address: where interactive consoles listen; empty for none.
    """

    host: str
    engine_url: str
    binding_host: str
    network_backend: str
    port_ready_timeout: int
    plugging_is_fatal: bool
    cgroup_parent: str
    pids_limit: int
    api_timeout: int
    init: bool
    start_watch: float
    start_gates: Path | None
    namespaces: Path | None
    image_limit_bytes: int
    ovsdb: str
    instances_path: Path
    console_address: str
    console_port: int
    console_seconds: int


def settings(conf: Any) -> Settings:
    """Read the options once, at start."""
    return Settings(
        host=conf.host,
        engine_url=conf.docker.host,
        binding_host=conf.docker.binding_host or conf.host,
        network_backend=conf.docker.network_backend,
        port_ready_timeout=conf.docker.port_ready_timeout,
        plugging_is_fatal=conf.vif_plugging_is_fatal,
        cgroup_parent=conf.docker.cgroup_parent,
        pids_limit=conf.docker.pids_limit,
        api_timeout=conf.docker.api_timeout,
        init=conf.docker.init,
        start_watch=conf.docker.start_watch,
        start_gates=Path(conf.docker.start_gates) if conf.docker.start_gates else None,
        namespaces=Path(conf.docker.namespaces) if conf.docker.namespaces else None,
        image_limit_bytes=conf.docker.image_limit_gb << 30,
        ovsdb=conf.os_vif_ovs.ovsdb_connection,
        instances_path=Path(conf.instances_path),
        console_address=conf.serial_console.proxyclient_address if conf.serial_console.enabled else "",
        console_port=conf.docker.console_port,
        console_seconds=conf.consoleauth.token_ttl,
    )
