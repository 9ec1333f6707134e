# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""A run of the instrument: what was asked for, one part after the other, and everything removed again."""

import shutil
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from openstack.connection import Connection

from novadocker import __version__
from novadocker.errors import NovaDockerError
from novadocker.host import lock, machine
from novadocker.host.bench import boots, cycle, floor_domain, floor_engine, nothing, ratios, servers
from novadocker.host.bench.boots import Watcher
from novadocker.host.bench.floor_domain import Libvirt
from novadocker.host.bench.floor_engine import Engine
from novadocker.host.bench.lookout import Lookout
from novadocker.host.bench.news import ACTIVE, News
from novadocker.host.bench.servers import Api, Kind
from novadocker.host.bench.weight import MIB, SERVERS, Scales
from novadocker.host.bootstrap import computes, session
from novadocker.host.config import HostConfig
from novadocker.host.images.build import demo_images
from novadocker.host.services import registry
from novadocker.host.services.model import Cloud

USUAL = ("weight", "containers", "vms", "docker", "virsh", "nothing")
# Takes minutes, and the memory of a second cloud: only where it is asked for.
PARTS = (*USUAL, "cycle")
QUICK = ("containers", "docker")
_SETTLED = 1.5


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What to measure.

    :ivar servers: how many are booted one after the other; of VMs, `vms`.
    :ivar idle_seconds: how long the idle cloud is looked at.
    """

    parts: tuple[str, ...] = USUAL
    servers: int = 20
    at_once: int = 10
    vms: int = 3
    idle_seconds: float = 10.0


def run(
    config: HostConfig, cloud: Cloud | None, wanted: Wanted, *, say: Callable[[str], None]
) -> dict[str, Any]:
    """Measure; everything made here is removed, and so is what an interrupted run has left.

    :param cloud: that of `config`; the part `cycle` alone needs none.
    :raises NovaDockerError: if a server does not become ACTIVE, or does not answer.
    """
    here = machine.look(config.root)
    report: dict[str, Any] = {
        "format": 1,
        "when": datetime.now(UTC).isoformat(timespec="seconds"),
        "version": __version__,
        "machine": {"cpus": here.cpus, "memory_mib": here.memory_mb},
        "options": asdict(wanted),
    }
    if "cycle" in wanted.parts:
        report["cycle"] = cycle.measure(Path(sys.prefix) / "bin" / "nova-docker", beside=config.name, say=say)
    if cloud is not None and set(wanted.parts) - {"cycle"}:
        with lock.held(cloud.layout.data):
            _measure(cloud, wanted, report, say=say)
    report["ratios"] = ratios.within(report)
    return report


def _measure(cloud: Cloud, wanted: Wanted, report: dict[str, Any], *, say: Callable[[str], None]) -> None:
    report["backend"] = cloud.config.network_backend
    with ExitStack() as open_:
        connection = open_.enter_context(session.administrator(cloud, project=session.PROJECT))
        room = open_.enter_context(_room(cloud, connection))
        bench = _Bench(cloud, wanted, connection, room, say=say)
        report["flavors"] = bench.flavors_made
        if "weight" in wanted.parts:
            report["weight"] = bench.weight()
        bench.measure(report)
    if "weight" in report and "containers" in report:
        report["weight"] |= _of_a_server(bench.weights)


@contextmanager
def _room(cloud: Cloud, connection: Connection) -> Iterator[Path]:
    """A folder to work in, and the certainty that nothing of an earlier run or of this one stays."""
    folder = cloud.layout.data / "bench"
    _clear(cloud, connection, folder)
    try:
        yield folder
    finally:
        _clear(cloud, connection, folder)


def _clear(cloud: Cloud, connection: Connection, folder: Path) -> None:
    interrupted = cloud.layout.run.joinpath("bench").exists()
    if interrupted:
        nothing.end(cloud, connection)
    servers.remove_all(connection)
    if interrupted:
        nothing.clear(cloud, connection)
        shutil.rmtree(cloud.layout.run / "bench", ignore_errors=True)
    engine = Engine(cloud.layout.docker_socket)
    engine.clear()
    engine.close()
    if folder.exists():
        Libvirt(cloud.layout.libvirt_socket, folder=folder).clear()


def _of_a_server(weights: list[tuple[Any, Any, int]]) -> dict[str, Any]:
    if not weights:
        return {}
    before, with_servers, count = weights[-1]
    own = with_servers.pss.get(SERVERS, 0) - before.pss.get(SERVERS, 0)
    grown = {
        name: round((size - before.pss.get(name, 0)) / count / MIB, 2)
        for name, size in with_servers.pss.items()
        if abs(size - before.pss.get(name, 0)) > MIB
    }
    all_pss = sum(with_servers.pss.values()) - sum(before.pss.values())
    return {
        "servers": count,
        "server_own_mib": round(own / count / MIB, 2),
        "server_mib": round((all_pss - own) / count / MIB, 2),
        "server_machine_mib": round((with_servers.taken - before.taken) / count / MIB, 2),
        "server_by_service_mib": dict(sorted(grown.items(), key=lambda item: -item[1])),
    }


class _Bench:
    """The parts of a run, and what they share."""

    def __init__(
        self, cloud: Cloud, wanted: Wanted, connection: Connection, room: Path, *, say: Callable[[str], None]
    ) -> None:
        self._cloud = cloud
        self._wanted = wanted
        self._connection = connection
        self._room = room
        self._say = say
        self._api = Api(connection)
        self._scales = Scales(cloud)
        self._logs = {name: cloud.layout.logs / f"{name}.log" for name in registry.services(cloud)}
        self.weights: list[tuple[Any, Any, int]] = []
        images = demo_images(cloud.layout.images, say=say)
        self._files = {"container": images.container, "vm": images.machine}
        self._network = servers.network(connection)
        many = wanted.at_once if {"containers", "docker"} & set(wanted.parts) else 0
        disk = _disk_gb(connection, cloud, count=many + 1)
        self.flavors_made = {
            "container": {"vcpus": servers.VCPUS, "memory_mb": servers.MEMORY_MB, "disk_gb": disk},
            "vm": {"vcpus": servers.VCPUS, "memory_mb": servers.VM_MEMORY_MB, "disk_gb": 1},
        }
        self._flavors = {
            name: servers.flavor(
                connection,
                name=f"{servers.PREFIX}-{name}",
                memory_mb=made["memory_mb"],
                disk_gb=made["disk_gb"],
            )
            for name, made in self.flavors_made.items()
        }

    def measure(self, report: dict[str, Any]) -> None:
        """Boot what is wanted, beside the floors."""
        parts, wanted = self._wanted.parts, self._wanted
        kind = self._kind("container")
        engine = Engine(self._cloud.layout.docker_socket)
        with ExitStack() as open_:
            open_.callback(engine.close)
            where = open_.enter_context(servers.addresses(self._cloud))
            # It looks out for the others, is what docker's floor is modelled on, and has the image fetched.
            first = self._first("nova-docker", kind)
            if "docker" in parts:
                report["docker"] = floor_engine.measure(
                    engine, first, servers=wanted.servers, at_once=wanted.at_once, say=self._say
                )
            if "nothing" in parts:
                report["nothing"] = self._nothing(kind)
            threads = max(wanted.at_once, wanted.vms, 1)
            look = Lookout(pid=engine.pid(first), address=where.of, threads=threads)
            open_.callback(look.close)
            if "containers" in parts:
                report["containers"] = self._containers(kind, look)
            if {"vms", "virsh"} & set(parts):
                self._vms(report, look)

    def weight(self) -> dict[str, Any]:
        """Memory and processor time of the idle cloud."""
        weight = self._scales.weigh()
        idle = self._scales.idle(self._wanted.idle_seconds)
        found = {
            "control_plane_mib": weight.control_plane // MIB,
            "services_mib": {
                name: size // MIB for name, size in sorted(weight.pss.items(), key=lambda item: -item[1])
            },
            "idle_percent": round(100 * sum(idle.values()), 2),
            "idle_by_service_percent": {
                name: round(100 * share, 2) for name, share in sorted(idle.items(), key=lambda item: -item[1])
            },
        }
        self._say(
            f"control plane: {found['control_plane_mib']} MiB, idle {found['idle_percent']} % of a core"
        )
        return found

    def _containers(self, kind: Kind, look: Lookout) -> dict[str, Any]:
        with self._watched("nova-docker", look, must_answer=True) as watcher:
            one = boots.one_at_a_time(watcher, kind, count=self._wanted.servers, say=self._say)
            many = self._many(watcher, kind, count=self._wanted.at_once, weigh=True)
        return {"one": one, "at_once": many}

    def _vms(self, report: dict[str, Any], look: Lookout) -> None:
        kind, wanted = self._kind("vm"), self._wanted
        pattern = self._first("nova-libvirt", kind)
        libvirt = Libvirt(self._cloud.layout.libvirt_socket, folder=self._room)
        description, disk = libvirt.like(pattern)
        self._end("nova-libvirt", pattern)
        if "virsh" in wanted.parts:
            report["virsh"] = floor_domain.measure(
                libvirt, description, disk, servers=wanted.vms, say=self._say
            )
        if "vms" in wanted.parts:
            with self._watched("nova-libvirt", look) as watcher:
                one = boots.one_at_a_time(watcher, kind, count=wanted.vms, say=self._say)
                many = self._many(watcher, kind, count=wanted.vms)
            report["vms"] = {"one": one, "at_once": many}

    def _nothing(self, kind: Kind) -> dict[str, Any]:
        self._say("starting a nova-compute that does nothing")
        with nothing.running(self._cloud, self._connection):
            flavor = servers.flavor(
                self._connection,
                memory_mb=servers.MEMORY_MB,
                disk_gb=1,
                name=f"{servers.PREFIX}-nothing",
                extra_specs=nothing.EXTRA_SPECS,
            )
            kind = replace(kind, name="nothing", flavor=flavor)
            logs = {**self._logs, "nova-nothing": nothing.log(self._cloud)}
            with self._watched("nova-nothing", None, logs=logs) as watcher:
                # The first of a new service takes longer: caches, connections.
                boots.one_at_a_time(watcher, kind, count=1, say=lambda _: None)
                one = boots.one_at_a_time(watcher, kind, count=self._wanted.servers, say=self._say)
                many = boots.at_once(watcher, kind, count=self._wanted.at_once, say=self._say)
        return {"one": one, "at_once": many}

    def _many(self, watcher: Watcher, kind: Kind, *, count: int, weigh: bool = False) -> dict[str, Any]:
        if not weigh or "weight" not in self._wanted.parts:
            return boots.at_once(watcher, kind, count=count, say=self._say)
        before = self._scales.weigh()

        def idle() -> None:
            time.sleep(_SETTLED)
            self.weights.append((before, self._scales.weigh(), count))

        return boots.at_once(watcher, kind, count=count, say=self._say, meanwhile=idle)

    @contextmanager
    def _watched(
        self,
        compute: str,
        look: Lookout | None,
        *,
        must_answer: bool = False,
        logs: Mapping[str, Path] | None = None,
    ) -> Iterator[Watcher]:
        logs = logs or self._logs
        heard = boots.heard_by(look) if look else lambda *_: None
        with News([logs[compute], logs["nova-conductor"]], heard=heard) as news:
            yield Watcher(
                api=self._api,
                news=news,
                scales=self._scales,
                logs=logs,
                lookout=look,
                compute=compute,
                must_answer=must_answer,
            )

    def _first(self, compute: str, kind: Kind) -> str:
        """A server that stays, which nobody measures."""
        with self._watched(compute, None) as watcher:
            asked = self._api.create(f"{servers.PREFIX}-first-{kind.name}", kind)
            watcher.news.wait(asked.id, (ACTIVE,), seconds=60)
        record = self._api.look(asked.id) or {}
        if record.get("status") != "ACTIVE":
            raise NovaDockerError(
                f"The first {kind.name} of the instrument is {record.get('status', 'gone')}, not ACTIVE.",
                facts=str((record.get("fault") or {}).get("message", "")),
                hint=f"nova-docker why {asked.id}",
            )
        return asked.id

    def _end(self, compute: str, server: str) -> None:
        with self._watched(compute, None) as watcher:
            self._api.delete(server)
            watcher.news.wait(server, ("gone",), seconds=60)

    def _kind(self, name: str) -> Kind:
        formats = {"container": "docker", "vm": "bare"}
        image = servers.upload(self._connection, name, str(self._files[name]), container_format=formats[name])
        return Kind(name=name, image=image, flavor=self._flavors[name], network=self._network)


def _disk_gb(connection: Connection, cloud: Cloud, *, count: int) -> int:
    """A root disk of 1 GiB, or none of its own where so many do not fit.

    :raises NovaDockerError: if as many servers do not fit at all.
    """
    stock = computes.inventories(connection)[cloud.docker_host]
    fit = {
        name: int((each["total"] - each["reserved"]) * each["allocation_ratio"])
        for name, each in stock.items()
    }
    wanted = {"VCPU": count * servers.VCPUS, "MEMORY_MB": count * servers.MEMORY_MB}
    short = [f"{name}: {need} needed, {fit[name]} there" for name, need in wanted.items() if fit[name] < need]
    if short:
        raise NovaDockerError(
            f"{count} servers do not fit the share of containers.",
            facts="; ".join(short),
            hint="Choose less: --at-once.",
        )
    return 1 if fit["DISK_GB"] >= count else 0
