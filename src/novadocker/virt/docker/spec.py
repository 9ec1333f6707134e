# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""What a server's container should be, and the sandbox some need (pure): all that Docker is told."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from novadocker.extra_specs import Choices
from novadocker.virt.docker import names, quotas
from novadocker.virt.docker.errors import StorageError
from novadocker.virt.docker.facts import Image
from novadocker.virt.docker.process import Process
from novadocker.virt.docker.quotas import Quotas

MIB = 1 << 20

# Where a server's config drive lies below the directory of its files. cloud-init, told by nothing else, looks
# for it in /config-drive (DataSourceConfigDrive).
DRIVE = PurePosixPath("guest/config-drive")

# The sandbox's only process sleeps in one system call; the memory is for runc, which becomes it.
_SANDBOX_MEMORY = 16 * MIB
_SANDBOX_PIDS = 8

# Commands that are an init system themselves and insist on being process 1.
_INIT_SYSTEMS = frozenset({"init", "systemd", "tini", "dumb-init", "docker-init", "s6-svscan", "catatonit"})


@dataclass(frozen=True, kw_only=True)
class ContainerSpec:
    """One container, as the daemon is asked for it. Sizes in bytes.

    :ivar network: a network mode of Docker's; empty for a namespace of its own that Docker does nothing in.
    :ivar cpu_quota: microseconds of processor time in each `cpu_period`; 0 for as much as there is.
    :ivar cpuset: the processors it runs on, listed, and of which nodes its memory is; empty for all.
    :ivar rates: read_bytes, read_iops, write_bytes, write_iops in each second, of the disk `rate_device`.

    :ivar binds: what is mounted to be read only, by its place on the host.
    :ivar disks: what is mounted to be written to.
    :ivar mounts: what the daemon mounts for it, by its place inside, as options of Docker's local volumes.
    :ivar tmpfs: folders in memory, with their mount options.
    :ivar runtime: of the daemon's runtimes, where it is not to be the default.
    """

    name: str
    image: str
    labels: Mapping[str, str]
    network: str
    memory: int
    swap: int = 0
    cpu_shares: int = 0
    cpu_period: int = 0
    cpu_quota: int = 0
    cpuset: str = ""
    memory_nodes: str = ""
    rates: Mapping[str, int] = field(default_factory=dict)
    rate_device: str = ""
    pids: int
    command: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    working_dir: str = ""
    hostname: str = ""
    user: str = ""
    stop_signal: str = ""
    init: bool = False
    read_only: bool = False
    cap_add: tuple[str, ...] = ()
    no_new_privileges: bool = True
    binds: Mapping[str, str] = field(default_factory=dict)
    disks: Mapping[str, str] = field(default_factory=dict)
    mounts: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    tmpfs: Mapping[str, str] = field(default_factory=dict)
    shm: int = 0
    disk: int = 0
    cgroup_parent: str = ""
    log: bool = True
    runtime: str = ""


@dataclass(frozen=True, kw_only=True)
class Server:
    """A Nova server, as far as its containers depend on it."""

    uuid: str
    name: str
    host: str
    hostname: str
    vcpus: int
    memory_mb: int
    swap_mb: int
    root_gb: int
    process: Process = field(default_factory=Process)
    choices: Choices = field(default_factory=Choices)
    config_drive: bool = False
    quotas: Quotas | None = None
    cpuset: str = ""
    memory_nodes: str = ""


@dataclass(frozen=True, kw_only=True)
class Ground:
    """What the host adds to every container: where files lie, what the daemon can do.

    :ivar keeps_namespaces: a server's need no sandbox to hold them.
    """

    files: Path
    pids: int
    cgroup_parent: str = ""
    init: bool = True
    disk_limit: bool = False
    rate_device: str = ""
    sandbox_runtime: str = ""
    keeps_namespaces: bool = False


def sandbox(server: Server, *, image: str, ground: Ground) -> ContainerSpec:
    """Return the container that owns the server's network namespace and does nothing else."""
    return ContainerSpec(
        name=names.container(uuid=server.uuid, role=names.SANDBOX),
        image=image,
        labels=names.labels(uuid=server.uuid, host=server.host, role=names.SANDBOX, name=server.name),
        # The driver wires it. Of Docker's `none` network dockerd keeps a record, for which version 20.10 is
        # started once more by runc (libnetwork's hook): half of a sandbox's start.
        network="",
        hostname=server.hostname,
        memory=_SANDBOX_MEMORY,
        pids=_SANDBOX_PIDS,
        user="65534:65534",
        # Process 1 of a namespace is deaf to signals it has no handler for, except this one from outside.
        stop_signal="SIGKILL",
        read_only=True,
        cgroup_parent=ground.cgroup_parent,
        log=False,
        runtime=ground.sandbox_runtime,
    )


def workload(server: Server, *, image: Image, ground: Ground) -> ContainerSpec:
    """Return the container that runs the server's image in the server's namespaces.

    :raises: StorageError where its flavor limits disk I/O and this host cannot
    """
    sandbox_name = names.container(uuid=server.uuid, role=names.SANDBOX)
    limits = server.quotas or quotas.parse({}, vcpus=server.vcpus)
    if limits.rates and not ground.rate_device:
        raise StorageError(
            "The flavor limits disk I/O, and this host cannot.",
            facts="dockerd's storage is on no disk that is known.",
        )
    return ContainerSpec(
        name=names.container(uuid=server.uuid, role=names.WORKLOAD),
        image=image.id,
        labels=names.labels(uuid=server.uuid, host=server.host, role=names.WORKLOAD, name=server.name),
        network="" if ground.keeps_namespaces else f"container:{sandbox_name}",
        # Docker gives it the sandbox's where there is one, and takes no other.
        hostname=server.hostname if ground.keeps_namespaces else "",
        memory=server.memory_mb * MIB,
        swap=server.swap_mb * MIB,
        cpu_shares=limits.cpu_shares,
        cpu_period=limits.cpu_period,
        cpu_quota=limits.cpu_quota,
        cpuset=server.cpuset,
        memory_nodes=server.memory_nodes,
        rates=limits.rates,
        rate_device=ground.rate_device if limits.rates else "",
        pids=server.choices.pids or ground.pids,
        command=server.process.command,
        environment=server.process.environment,
        working_dir=server.process.working_dir,
        user=server.process.user,
        init=ground.init and wants_init(image, server.process.command),
        cap_add=server.choices.held,
        no_new_privileges=server.choices.no_new_privileges,
        read_only=server.choices.read_only_root,
        binds=_binds(server, ground.files),
        tmpfs={path: _memory_folder(path, memory_mb=server.memory_mb) for path in server.choices.tmpfs},
        shm=(server.choices.shm_size_mb or 0) * MIB,
        disk=(server.root_gb << 30) if ground.disk_limit else 0,
        cgroup_parent=ground.cgroup_parent,
    )


def _memory_folder(path: str, *, memory_mb: int) -> str:
    mode = "1777" if path in {"/tmp", "/var/tmp"} else "755"
    return f"rw,nosuid,nodev,exec,size={max(memory_mb // 2, 1)}m,mode={mode}"


def _binds(server: Server, files: Path) -> dict[str, str]:
    # Docker's own three lie on its storage, outside of every quota, and root inside may write to them.
    found = {str(files / name): f"/etc/{name}" for name in ("hostname", "hosts", "resolv.conf")}
    return found | ({str(files / DRIVE): "/config-drive"} if server.config_drive else {})


def wants_init(image: Image, command: tuple[str, ...]) -> bool:
    """Say whether a small init should be process 1: not where the image brings one of its own."""
    argv = (*image.entrypoint, *(command or image.command))
    return bool(argv) and PurePosixPath(argv[0]).name not in _INIT_SYSTEMS
