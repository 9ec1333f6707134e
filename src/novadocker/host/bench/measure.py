# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""A run of the instrument: what was asked for, one part after the other, and everything removed again."""

import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from openstack.connection import Connection

from novadocker import __version__
from novadocker.host import lock, machine
from novadocker.host.bench import cycle, nothing, ratios, servers
from novadocker.host.bench.floor_domain import Libvirt
from novadocker.host.bench.floor_engine import Engine
from novadocker.host.bench.parts import Bench
from novadocker.host.bench.wanted import BESIDE_A_FIRST, Wanted
from novadocker.host.bootstrap import session
from novadocker.host.config import HostConfig
from novadocker.host.services.model import Cloud


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
        bench = Bench(cloud, wanted, connection, room, say=say)
        report["flavors"] = bench.flavors_made
        if "weight" in wanted.parts:
            report["weight"] = bench.weight()
        if "soak" in wanted.parts:
            report["soak"] = bench.soak()
        if BESIDE_A_FIRST & set(wanted.parts):
            bench.measure(report)


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
