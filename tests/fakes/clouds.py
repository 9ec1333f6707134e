# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""A made-up cloud: fixed facts, and passwords that are readable and found wherever they end up."""

from pathlib import Path
from typing import Any

from novadocker.host.capacity import split
from novadocker.host.config import HostConfig
from novadocker.host.machine import Machine
from novadocker.host.secrets import NAMES, Secret, Secrets
from novadocker.host.services.model import Cloud
from novadocker.host.state import Layout

MACHINE = Machine(
    hostname="host",
    cpus=2,
    memory_mb=16000,
    disk_gb=100,
    disk_free_gb=64,
    uplink_mtu=1500,
    kernel_datapath=False,
)
SECRETS = Secrets({name: Secret(f"password-of-{name}") for name in NAMES})


def cloud(*, config: HostConfig | None = None, machine: Machine = MACHINE, **facts: Any) -> Cloud:
    """A cloud on a machine that nobody has; `config` says where, other `facts` replace its own."""
    config = config or HostConfig()
    known: dict[str, Any] = {
        "config": config,
        "layout": Layout.of(config),
        "secrets": SECRETS,
        "machine": machine,
        "split": split(machine),
        "hostname": "host",
        "kvm": False,
        "venv": Path("/opt/venv"),
    }
    return Cloud(**known | facts)


def cloud_in(folder: Path, **facts: Any) -> Cloud:
    """A made-up cloud whose folders lie below `folder`; none is made."""
    return cloud(config=HostConfig(root=folder / "root", run_dir=folder / "run"), **facts)
