# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""Take a cloud away: processes first, then what they leave in the kernel, then the files.

Nothing here asks a service: any of them may be dead, or half made. What is ours is told by where it lies (our
folders, our control group), by our mark (rules, interface aliases) and by our switch's own database.
"""

import hashlib
import json
import shutil
import signal
from contextlib import suppress
from pathlib import Path

import psutil

from novadocker import poll, run
from novadocker.errors import NovaDockerError
from novadocker.host import cgroups, clients, clouds, datapath_tap, links, mounts, networks, state, uplink
from novadocker.host.config import HostConfig, check
from novadocker.host.services import ovs
from novadocker.host.state import Layout
from novadocker.host.steps import Listener, Step, carry_out
from novadocker.host.supervise import systemd, units

# First those that would restart or report the others' end.
_KILLED_FIRST = ("supervisor", "nova-docker", "nova-libvirt")
# Told to end rather than killed when their data is kept. No other service has any: with the databases gone
# they would only try to reach them, until they give up.
_WITH_DATA = {"mariadb", "rabbitmq", "ovn-nb", "ovn-sb", "containerd", "dockerd", "libvirtd", "servers"}
_CONTAINERD_SOCKETS = Path("/run/containerd/s")


def take_down(config: HostConfig, *, keep_data: bool, listener: Listener) -> int:
    """Remove the cloud; returns how many steps found something to remove. Twice is harmless.

    :raises NovaDockerError: before anything is removed, if the folders are none of a cloud's.
    """
    check(config)
    layout = Layout.of(config)
    state.refuse_foreign(layout)
    try:
        memory = state.recall(layout)
    except NovaDockerError:
        # What it says would be put back is lost with it; all else is found without.
        memory = state.Memory()
    # The bridge and the addresses to take away are those it came up with, whatever was configured since.
    config = networks.remembered(config, memory.fixed, whole=True)
    mounted = cgroups.hierarchies()
    clouds.refuse_namesake(config, mounted, groups=units.groups(config.name))
    with clouds.alone():
        last = not clouds.others(config.name)
        clouds.leave(config)
    # What the machine's other clouds need too goes with the last of them.
    forwarding_before, outside = (memory.forwarding_before, memory.outside()) if last else ("", [])
    ports = _switch_ports(layout)
    if ports:
        ports.append(ovs.tap_name(config))
        # Still under its first name, it is ours only if no other switch runs.
        if not _other_switch([mounted.follow / name for name in units.groups(config.name)]):
            ports.append(datapath_tap.FIXED_NAME)
    containers = _container_ids(layout)
    present = systemd.of_cloud(config.name)
    steps = [
        Step(name="servers and services", act=lambda: _end_processes(config, mounted, gently=keep_data)),
        Step(
            name="firewall and forwarding",
            needs=("servers and services",),
            act=lambda: uplink.close_way(config, forwarding_before=forwarding_before),
        ),
        Step(
            name="interfaces",
            needs=("servers and services",),
            act=lambda: bool(links.remove(ports, alias_prefix=f"nova-docker:{memory.hostname}-docker:")),
        ),
        Step(name="clients' entries", act=lambda: _forget_clients(config, memory)),
        Step(name="mounts", needs=("servers and services",), act=lambda: _unmount(layout)),
        Step(
            name="control groups",
            needs=("servers and services",),
            act=lambda: _remove_groups(config, mounted, of_systemd=present),
        ),
        Step(
            name="files",
            needs=("mounts", "interfaces", "firewall and forwarding", "control groups", "clients' entries"),
            act=lambda: _remove_files(layout, containers, outside, keep_data=keep_data),
        ),
    ]
    return carry_out(steps, listener=listener)


def _end_processes(config: HostConfig, mounted: cgroups.Hierarchies, *, gently: bool) -> bool:
    ended = int(systemd.remove(config.name))
    without_data = _groups_of(mounted, config.name) - _WITH_DATA if gently else set()
    for name in (*_KILLED_FIRST, *sorted(without_data.difference(_KILLED_FIRST))):
        ended += cgroups.kill(mounted, name=f"{config.name}/{name}")
    if gently:
        processes = []
        for pid in _members_everywhere(mounted, config.name):
            try:
                processes.append(psutil.Process(pid))
                processes[-1].send_signal(signal.SIGTERM)
            except psutil.NoSuchProcess:
                continue
        ended += len(processes)
        with suppress(poll.NotInTime):  # the rest is killed
            poll.until(
                lambda: "some" if _members_everywhere(mounted, config.name) else None,
                why="The end of servers and services", seconds=12,
            )  # fmt: skip
    return bool(ended + sum(cgroups.kill(mounted, name=name) for name in units.groups(config.name)))


def _remove_groups(config: HostConfig, mounted: cgroups.Hierarchies, *, of_systemd: list[str]) -> bool:
    if of_systemd and systemd.booted():
        systemd.forget(config.name, of_systemd)
    return any([cgroups.remove(mounted, name=name) for name in units.groups(config.name)]) or bool(of_systemd)


def _groups_of(mounted: cgroups.Hierarchies, name: str) -> set[str]:
    places = [mount / name for mount in mounted.mounts if (mount / name).is_dir()]
    return {group.name for place in places for group in place.iterdir() if group.is_dir()}


def _members_everywhere(mounted: cgroups.Hierarchies, name: str) -> set[int]:
    return {pid for mount in mounted.mounts for pid in cgroups.members(mount / name)}


def _switch_ports(layout: Layout) -> list[str]:
    """The host's interfaces that are ports of our switch, from its file: its server may be gone."""
    database = layout.data / "ovs" / "conf.db"
    if not database.exists():
        return []
    query = ["Open_vSwitch", {"op": "select", "table": "Interface", "where": [], "columns": ["name", "type"]}]
    answer = run.run(["ovsdb-tool", "query", database, json.dumps(query)], check=False)
    if answer.code != 0:
        return []
    # Patch and tunnel ports are in the switch alone. Under the userspace datapath bridges are taps that
    # outlive it.
    rows = json.loads(answer.out)[0]["rows"]
    return [row["name"] for row in rows if row["type"] in ("", "system", "internal", "tap")]


def _other_switch(groups: list[Path]) -> bool:
    ours = {pid for group in groups for pid in cgroups.members(group)}
    return any(
        process.pid not in ours
        for process in psutil.process_iter(["name"])
        if process.info["name"] == "ovs-vswitchd"
    )


def _forget_clients(config: HostConfig, memory: state.Memory) -> bool:
    return bool(memory.clients_file) and clients.remove(Path(memory.clients_file), name=config.name)


def _container_ids(layout: Layout) -> list[str]:
    folder = layout.data / "docker" / "storage"
    return [path.name for path in folder.glob("*/containers/*")] + [
        path.name for path in folder.glob("containers/*")
    ]


def _unmount(layout: Layout) -> bool:
    count = mounts.unmount_below(layout.run) + mounts.unmount_below(layout.root)
    return bool(count + mounts.detach_loops(layout.root))


def _remove_files(layout: Layout, containers: list[str], outside: list[Path], *, keep_data: bool) -> bool:
    # containerd 1.6 puts its shims' sockets into this folder wherever its own state lies; the name is a
    # digest of its address, dockerd's namespace and the container (runtime/v2/shim/util_unix.go,
    # SocketAddress).
    address = layout.run / "containerd" / "containerd.sock"
    for container in containers:
        digest = hashlib.sha256(f"{address}/moby/{container}".encode()).hexdigest()
        (_CONTAINERD_SOCKETS / digest).unlink(missing_ok=True)
    for folder in reversed(outside):
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()
    if keep_data:
        doomed = {
            layout.run: layout.started,
            layout.etc: layout.etc,
            layout.data / "ovs": layout.data / "ovs",
            layout.saving: layout.saving,
        }
    else:
        doomed = {layout.run: layout.started, layout.root: layout.memory_file}
    present = [folder for folder in doomed if folder.exists()]
    for folder in present:
        _remove_folder(folder, last=doomed[folder])
    return bool(present)


def _remove_folder(folder: Path, *, last: Path) -> None:
    """Remove `folder` and all in it, what shows whose it is at the end: a `down` can be interrupted, too."""
    for place in {folder, last.parent} if last != folder else set():
        for path in place.iterdir() if place.is_dir() else ():
            if path in (last, last.parent):
                continue
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()
    shutil.rmtree(folder)
