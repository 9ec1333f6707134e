# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""What is on the compute host already. Looking changes nothing, and what cannot be seen is no error."""

import os
import shutil
import socket
import sys
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from novadocker.host import machine
from novadocker.host.evidence import engine, processes, services, switch
from novadocker.host.evidence.model import NotSeen
from novadocker.host.overlay import model, nova_conf
from novadocker.host.overlay.model import Wanted
from novadocker.host.overlay.nova_conf import NovaConf

_NEUTRON = (Path("/etc/neutron/neutron.conf"), Path("/etc/neutron/plugins/ml2/openvswitch_agent.ini"))
_AGENTS = ("ovn-controller", "neutron-openvswitch-agent", "neutron-ovn-agent", "neutron-ovn-metadata-agent")


@dataclass(frozen=True, kw_only=True)
class Seen:
    """The host.

    :ivar nova: its nova.conf; `libvirt` is what the nova-compute that runs here is told in all.
    :ivar scheduler: the nova.conf of the scheduler, where one was given.
    :ivar computes: nova-compute processes: words, files, options.
    :ivar ids: compute_id files by path, and what they say.
    :ivar external_ids: what Open vSwitch says of this host, or `no_switch`, why it says nothing.
    :ivar agents: the network's programs that run here, each with its host option, if any.
    :ivar engine: what the named daemon says of itself, or `no_engine`, why it says nothing.
    :ivar earlier: the overlay that is in place from an earlier time.
    """

    hostname: str
    machine: machine.Machine
    nova: NovaConf
    libvirt: NovaConf
    scheduler: NovaConf | None
    neutron: NovaConf
    earlier: NovaConf
    program: Path | None
    program_source: str
    runs_libvirt: bool
    computes: tuple[dict[str, Any], ...]
    ids: dict[str, str] = field(default_factory=dict)
    external_ids: dict[str, str] = field(default_factory=dict)
    no_switch: str = ""
    agents: tuple[str, ...] = ()
    engine: dict[str, Any] = field(default_factory=dict)
    no_engine: str = ""
    libvirt_unit: str = ""


def look(wanted: Wanted) -> Seen:
    """Look at this host."""
    # What is in another network namespace is another machine's, or in a container.
    here = str(Path("/proc/self/ns/net").readlink())
    running = [each for each in processes.programs() if each["network"] in ("", here)]
    configured = services.configured(running)
    computes = [each for each in configured if each["program"] == "nova-compute"]
    others = [each for each in computes if "docker" not in each["options"].get("DEFAULT.compute_driver", "")]
    nova = nova_conf.read([wanted.nova_conf])
    files = list(dict.fromkeys(Path(path) for each in others for path in each["files"]))
    # Debian's nova-compute reads a second file beside it.
    libvirt = nova_conf.read(files or [wanted.nova_conf, wanted.nova_conf.with_name("nova-compute.conf")])
    words = {each["pid"]: each["words"] for each in running}
    program, source = _program(wanted, [words[each["pid"]] for each in others or computes])
    external_ids, no_switch = _switch(wanted.ovsdb or switch.USUAL_SOCKET)
    daemon, no_engine = _engine(wanted.docker_socket) if wanted.docker_socket else ({}, "")
    return Seen(
        hostname=socket.gethostname(),
        machine=machine.look(Path(daemon.get("DockerRootDir") or model.STATE)),
        nova=nova,
        libvirt=libvirt,
        scheduler=nova_conf.read([wanted.scheduler_conf]) if wanted.scheduler_conf else None,
        neutron=nova_conf.read(_NEUTRON),
        earlier=nova_conf.read([model.OVERLAY]),
        program=program,
        program_source=source,
        runs_libvirt=bool(others),
        computes=tuple(computes),
        ids=_ids(wanted.nova_conf.parent, model.SETTINGS, model.STATE, _state_path(libvirt)),
        external_ids=external_ids,
        no_switch=no_switch,
        agents=tuple(sorted({each["program"] for each in running} & set(_AGENTS))),
        engine=daemon,
        no_engine=no_engine,
        libvirt_unit=next((each["unit"] for each in others if each["unit"]), ""),
    )


def _program(wanted: Wanted, running: Iterable[list[str]]) -> tuple[Path | None, str]:
    """Where nova-compute is, and how that is known."""
    if wanted.nova_compute:
        return wanted.nova_compute, "--nova-compute"
    for words in running:
        for word in words[:2]:
            if Path(word).name == "nova-compute" and Path(word).is_absolute():
                return Path(word), "the one that runs"
    beside = Path(sys.executable).with_name("nova-compute")
    if beside.is_file():
        return beside, "beside this program"
    found = shutil.which("nova-compute")
    return (Path(found), "on the PATH") if found else (None, "")


def _state_path(conf: NovaConf) -> Path | None:
    path = conf.get("state_path")
    return Path(path) if path.startswith("/") else None


def _ids(*folders: Path | None) -> dict[str, str]:
    found = {}
    for folder in dict.fromkeys(folder for folder in folders if folder):
        path = folder / "compute_id"
        if path.is_file() and os.access(path, os.R_OK):
            found[str(path)] = path.read_text().strip()
    return found


def _switch(socket_path: Path) -> tuple[dict[str, str], str]:
    try:
        return dict(switch.state(socket_path)["external_ids"]), ""
    except NotSeen as reason:
        return {}, str(reason)


def _engine(socket_path: Path) -> tuple[dict[str, Any], str]:
    try:
        state = engine.state(socket_path)
    except NotSeen as reason:
        return {}, str(reason)
    return {**state["facts"], "containers": len(state["containers"])}, ""
