# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""Where everything of a cloud lies, and the few facts it keeps between runs."""

import json
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from novadocker import files
from novadocker.errors import NovaDockerError
from novadocker.host.config import HostConfig

# Folders with fixed names that upstream programs make or need; parents first.
TOUCHED = (
    "/run/containerd",
    "/run/containerd/s",
    "/run/docker",
    "/run/docker/plugins",
    "/run/libvirt",
    "/run/netns",
    "/run/mount",
    "/etc/libvirt",
    "/var/lib/libvirt",
    "/var/cache/libvirt",
    "/var/log/libvirt",
    "/etc/docker",
)


@dataclass(frozen=True)
class Layout:
    """The folders and files of one cloud. Nothing of ours lies anywhere else."""

    root: Path
    run: Path

    @classmethod
    def of(cls, config: HostConfig) -> "Layout":
        """The layout of the cloud `config` describes."""
        return cls(root=config.root, run=config.run_dir)

    @property
    def etc(self) -> Path:
        """Rendered configuration, a folder per program."""
        return self.root / "etc"

    @property
    def data(self) -> Path:
        """Databases, images, disks: what `down --keep-data` keeps."""
        return self.root / "data"

    @property
    def logs(self) -> Path:
        """One log a service."""
        return self.root / "log"

    @property
    def images(self) -> Path:
        """Demo images built from Debian packages."""
        return self.root / "images"

    @property
    def secrets_file(self) -> Path:
        """The passwords."""
        return self.data / "secrets.json"

    @property
    def memory_file(self) -> Path:
        """What `Memory` holds."""
        return self.data / "state.json"

    @property
    def arrival_file(self) -> Path:
        """What a loaded cloud needs yet to be this machine's own; see `bootstrap/arrival.py`."""
        return self.data / "arrival.json"

    @property
    def saving(self) -> Path:
        """What `save` copies before it packs it."""
        return self.root / "nova-docker.saving"

    @property
    def loading(self) -> Path:
        """What `load` unpacks before any of it counts."""
        return self.root / "nova-docker.loading"

    @property
    def mysql_socket(self) -> Path:
        """MariaDB's only way in."""
        return self.run / "mariadb" / "mariadb.sock"

    @property
    def ovs_socket(self) -> Path:
        """The chassis' Open_vSwitch database."""
        return self.run / "ovs" / "db.sock"

    @property
    def ovn_nb_socket(self) -> Path:
        """OVN's northbound database."""
        return self.run / "ovn" / "ovnnb_db.sock"

    @property
    def ovn_sb_socket(self) -> Path:
        """OVN's southbound database."""
        return self.run / "ovn" / "ovnsb_db.sock"

    @property
    def docker_socket(self) -> Path:
        """The private dockerd's API."""
        return self.run / "docker" / "docker.sock"

    @property
    def libvirt_socket(self) -> Path:
        """The private libvirtd's API."""
        return self.run / "libvirt" / "libvirt-sock"

    @property
    def supervisor_socket(self) -> Path:
        """Where supervisord listens."""
        return self.run / "supervisor.sock"

    @property
    def started(self) -> Path:
        """What each running service was started with; see `apply`."""
        return self.run / "started"

    @property
    def starts(self) -> Path:
        """When each service was started; see `supervise/restarts.py`."""
        return self.run / "starts"


@dataclass
class Memory:
    """Facts decided once and kept, so that a second `up` decides alike.

    :ivar hostname: the chassis' and libvirt service's host name at the first `up` (Nova forbids renaming).
    :ivar ports: where each server listens.
    :ivar capacity: the split of the machine, see `capacity`.
    :ivar datapath: Open vSwitch's datapath type; empty where an earlier version decided.
    :ivar percent: how much of the machine was divided by it.
    :ivar clients_file: the clouds.yaml that holds our entries.
    :ivar kvm: whether KVM was found to work.
    :ivar missing_before: those of `TOUCHED` that were not there before the first `up`.
    :ivar fixed: what of the configuration no later `up` may change: databases and bridges hold it.
    :ivar forwarding_before: value of net.ipv4.ip_forward that `down` puts back.
    """

    hostname: str = ""
    ports: dict[str, int] = field(default_factory=dict)
    capacity: dict[str, Any] = field(default_factory=dict)
    percent: int = 100
    datapath: str = ""
    fixed: dict[str, str] = field(default_factory=dict)
    forwarding_before: str = ""
    kvm: bool | None = None
    clients_file: str = ""
    missing_before: list[str] | None = None

    def outside(self) -> list[Path]:
        """Folders outside of ours that were not there before the first `up`, parents first."""
        return [Path(name) for name in self.missing_before or []]


def recall(layout: Layout) -> Memory:
    """Read what is remembered of the cloud; of a cloud that never was, nothing is.

    :raises NovaDockerError: if the file is there and cannot be read as what `remember` wrote.
    """
    if not layout.memory_file.is_file():
        return Memory()
    try:
        kept = files.read_table(layout.memory_file)
    except ValueError as error:
        raise NovaDockerError(
            f"What was remembered of the cloud, in {layout.memory_file}, is damaged.",
            facts=str(error),
            hint="Put it back from a copy, or remove the cloud with `nova-docker down` and start anew.",
        ) from error
    # Another version's extra facts are of no use to this one.
    known = {each.name for each in fields(Memory)}
    return Memory(**{name: value for name, value in kept.items() if name in known})


def remember(layout: Layout, memory: Memory) -> None:
    """Keep `memory` for the next run."""
    files.write(layout.memory_file, json.dumps(asdict(memory), indent=1) + "\n", mode=0o600)


def refuse_foreign(layout: Layout) -> None:
    """Refuse folders that hold something and are not a cloud's: `down` removes both whole.

    :raises NovaDockerError: naming the first such folder.
    """
    for option, folder, mark in (
        ("--root", layout.root, layout.memory_file),
        ("--run-dir", layout.run, layout.started),
    ):
        # An interrupted first `up` leaves an empty folder for data, an interrupted `load` what it unpacked.
        held = [
            path
            for path in _entries(folder)
            if path != layout.loading and (path != layout.data or _entries(path))
        ]
        if held and not mark.exists():
            raise NovaDockerError(
                f"{folder} holds something that is not a cloud's.",
                facts=f"{len(held)} entries, {sorted(held)[0].name} among them, and no {mark.name}",
                hint=f"Choose another {option}, or empty it yourself.",
            )


def _entries(folder: Path) -> list[Path]:
    return list(folder.iterdir()) if folder.is_dir() else []
