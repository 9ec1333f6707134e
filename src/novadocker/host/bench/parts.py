# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""The parts of a run that need a cloud, and what they share."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from openstack.connection import Connection

from novadocker.errors import NovaDockerError
from novadocker.host.bench import floor_domain, floor_engine, idle, nothing, servers, soak, turns
from novadocker.host.bench.floor_domain import Libvirt
from novadocker.host.bench.floor_engine import Engine
from novadocker.host.bench.lookout import Lookout
from novadocker.host.bench.news import ACTIVE, News
from novadocker.host.bench.samples import Sampler
from novadocker.host.bench.servers import Api, Kind
from novadocker.host.bench.turns import Side
from novadocker.host.bench.wanted import Wanted
from novadocker.host.bench.watcher import Watcher, heard_by
from novadocker.host.bench.weight import MIB, Scales, Weight, of_a_server, percents
from novadocker.host.images.build import demo_images
from novadocker.host.services import registry
from novadocker.host.services.model import Cloud


class Bench:
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
        images = demo_images(cloud.layout.images, say=say)
        self._files = {"container": images.container, "vm": images.machine}
        self._network = servers.network(connection)
        self._kinds: dict[str, Kind] = {}
        disk = servers.disk_gb(connection, cloud, count=wanted.most + 1)
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
            threads = max(wanted.at_once, wanted.vms, 1)
            look = Lookout(pid=engine.pid(first), address=where.of, threads=threads)
            open_.callback(look.close)
            if {"containers", "nothing"} & set(parts):
                self._beside_nothing(report, kind, look)
            if "idle" in parts:
                report["idle"] = self._idle(kind, look)
            if {"vms", "virsh"} & set(parts):
                self._vms(report, look)

    def weight(self) -> dict[str, Any]:
        """Memory and processor time of the idle cloud."""
        weight = self._scales.weigh()
        shares = self._scales.idle(self._wanted.idle_seconds)
        found = {
            "control_plane_mib": weight.control_plane // MIB,
            "services_mib": {
                name: size // MIB for name, size in sorted(weight.pss.items(), key=lambda item: -item[1])
            },
            "idle_percent": round(100 * sum(shares.values()), 2),
            "idle_by_service_percent": percents(shares),
        }
        self._say(
            f"control plane: {found['control_plane_mib']} MiB, idle {found['idle_percent']} % of a core"
        )
        return found

    def soak(self) -> dict[str, Any]:
        """What is left of many servers that came and went; none of the instrument's is there meanwhile."""
        wanted, kind = self._wanted, self._kind("container")
        engine = Engine(self._cloud.layout.docker_socket)
        with ExitStack() as open_:
            open_.callback(engine.close)
            watcher = open_.enter_context(self._watched("nova-docker", None))
            sampler = Sampler(self._cloud, self._scales, engine)
            return soak.measure(
                watcher, kind, sampler, count=wanted.soak_servers, at_once=wanted.soak_at_once, say=self._say
            )

    def _idle(self, kind: Kind, look: Lookout) -> dict[str, Any]:
        wanted = self._wanted
        with self._watched("nova-docker", None) as watcher:
            return idle.measure(
                watcher,
                kind,
                look,
                count=wanted.idle_servers,
                at_once=wanted.at_once,
                seconds=wanted.idle_seconds,
                say=self._say,
            )

    def _beside_nothing(self, report: dict[str, Any], kind: Kind, look: Lookout) -> None:
        """Containers and their floor, as far as they are wanted, in turn."""
        parts, wanted = self._wanted.parts, self._wanted
        sides: dict[str, Side] = {}

        def weighed(before: Weight, with_servers: Weight) -> None:
            report["weight"] |= of_a_server(before, with_servers, wanted.at_once)

        with ExitStack() as open_:
            if "nothing" in parts:
                sides["nothing"] = open_.enter_context(self._nothing(kind))
            if "containers" in parts:
                watcher = open_.enter_context(self._watched("nova-docker", look, must_answer=True))
                sides["containers"] = Side(
                    watcher=watcher, kind=kind, weighed=weighed if "weight" in parts else None
                )
            found = turns.measure(
                list(sides.values()),
                servers=wanted.servers,
                at_once=wanted.at_once,
                rounds=wanted.rounds,
                say=self._say,
            )
        report.update(zip(sides, found, strict=True))

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
                (report["vms"],) = turns.measure(
                    [Side(watcher=watcher, kind=kind)],
                    servers=wanted.vms,
                    at_once=wanted.vms,
                    rounds=1,
                    say=self._say,
                )

    @contextmanager
    def _nothing(self, kind: Kind) -> Iterator[Side]:
        self._say("starting a nova-compute that does nothing")
        with nothing.running(self._cloud, self._connection):
            flavor = servers.flavor(
                self._connection,
                memory_mb=servers.MEMORY_MB,
                disk_gb=1,
                name=f"{servers.PREFIX}-nothing",
                extra_specs=nothing.EXTRA_SPECS,
            )
            logs = {**self._logs, "nova-nothing": nothing.log(self._cloud)}
            with self._watched("nova-nothing", None, logs=logs) as watcher:
                side = Side(watcher=watcher, kind=replace(kind, name="nothing", flavor=flavor))
                # The first of a new service takes longer: caches, connections.
                turns.one_at_a_time([side], count=1, say=lambda _: None)
                yield side

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
        heard = heard_by(look) if look else lambda *_: None
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
        status, fault = self._api.state(asked.id)
        if status != "ACTIVE":
            raise NovaDockerError(
                f"The first {kind.name} of the instrument is {status}, not ACTIVE.",
                facts=fault,
                hint=f"nova-docker why {asked.id}",
            )
        return asked.id

    def _end(self, compute: str, server: str) -> None:
        with self._watched(compute, None) as watcher:
            self._api.delete(server)
            watcher.news.wait(server, ("gone",), seconds=60)

    def _kind(self, name: str) -> Kind:
        if name not in self._kinds:
            form = {"container": "docker", "vm": "bare"}[name]
            image = servers.upload(self._connection, name, str(self._files[name]), container_format=form)
            self._kinds[name] = Kind(
                name=name, image=image, flavor=self._flavors[name], network=self._network
            )
        return self._kinds[name]
