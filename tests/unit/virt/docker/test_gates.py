# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""A process is made ready while its network is; what it does meanwhile, and where that cannot be."""

from pathlib import Path

import pytest
from tests.fakes import docker_archive
from tests.fakes.engine import FakeEngine
from tests.fakes.namespaces import FakeNamespaces

from novadocker.virt.docker import archive, names, spec
from novadocker.virt.docker.containers import Containers
from novadocker.virt.docker.errors import EngineError, ProcessFailed
from novadocker.virt.docker.gates import Gates
from novadocker.virt.docker.namespaces import Namespaces

UUID = "a-server"
NAME = names.container(uuid=UUID, role=names.WORKLOAD)


class Counting(FakeEngine):
    """An engine that counts starts, and fails in the first ones."""

    def __init__(self, gates: Path | None, *, failing: int = 0, command: str = "runs") -> None:
        super().__init__(gates=gates)
        self.starts, self._failing = 0, failing
        path = Path(gates or "/tmp").with_name("image.tar")
        path.write_bytes(docker_archive.busybox([command], tags=["tenant/own:latest"]))
        found = archive.inspect(path, architecture="amd64", disk_limit=1 << 30)
        self.load(archive.rewritten(found, tag="an:image"))
        labels = names.labels(uuid=UUID, host="h", role=names.WORKLOAD, name="its name")
        made = spec.ContainerSpec(
            name=NAME, image="an:image", labels=labels, network="none", memory=1, pids=1
        )
        self.create(made)

    def start(self, container: str) -> None:
        self.starts += 1
        if self.starts <= self._failing:
            raise EngineError("Could not start.", facts="OCI runtime start failed: exit status 1")
        super().start(container)


@pytest.fixture
def gates(tmp_path: Path) -> Path:
    folder = tmp_path / "gates"
    Gates(folder).prepare()
    return folder


def containers(engine: FakeEngine, gates: Path | None) -> Containers:
    return Containers(
        engine=engine,
        host="h",
        gates=Gates(gates),
        namespaces=Namespaces(None, host="h", store=FakeNamespaces()),
    )


def test_it_is_started_once_and_before_it_is_let(gates: Path) -> None:
    engine = Counting(gates)
    with containers(engine, gates).held(UUID) as begin:
        while not engine.starts:
            pass
        assert engine.inspect(NAME).status == "created"
        begin()
        assert engine.inspect(NAME).status == "running"
    assert engine.starts == 1
    assert not list(gates.iterdir())


def test_held_for_too_long_it_is_started_again(gates: Path) -> None:
    engine = Counting(gates, failing=1)
    with containers(engine, gates).held(UUID) as begin:
        begin()
    assert (engine.starts, engine.inspect(NAME).status) == (2, "running")


def test_what_cannot_run_is_said_when_it_is_let(gates: Path) -> None:
    engine = Counting(gates, command="missing")
    with containers(engine, gates).held(UUID) as begin, pytest.raises(ProcessFailed, match="not found"):
        begin()
    assert not list(gates.iterdir())


def test_where_something_else_fails_it_never_begins(gates: Path) -> None:
    engine = Counting(gates)
    with pytest.raises(KeyError), containers(engine, gates).held(UUID):
        raise KeyError
    assert engine.inspect(NAME).status == "created"
    assert not list(gates.iterdir())


def test_without_gates_it_is_started_when_it_is_let(tmp_path: Path) -> None:
    engine = Counting(tmp_path / "none")
    with containers(engine, None).held(UUID) as begin:
        assert engine.starts == 0
        begin()
    assert (engine.starts, engine.inspect(NAME).status) == (1, "running")


def test_gates_of_who_was_killed_are_removed(gates: Path) -> None:
    (gates / "left").touch()
    Gates(gates).prepare()
    assert not list(gates.iterdir())
