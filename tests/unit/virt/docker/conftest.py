# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""A driver on fakes: every decision and failure path, nothing outside the process."""

import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import nova.conf
import os_vif
import pytest
from tests.fakes import docker_archive, nova_objects
from tests.fakes.disks import FakeDisks
from tests.fakes.engine import FACTS, FakeEngine
from tests.fakes.image_service import FakeImageService
from tests.fakes.namespaces import FakeNamespaces
from tests.fakes.network import FakeNetlink, FakePlugging, FakeService, FakeSwitch
from tests.fakes.storage import FakeFolderStore

from novadocker import oci_runtime
from novadocker.virt.docker import driver, names

CONF = nova.conf.CONF


class Bench:
    """One driver and the fakes it stands on."""

    def __init__(self, folder: Path, *, kept: bool) -> None:
        self.archives: dict[str, bytes] = {}
        self.kept = kept
        program = folder / "runtime"
        program.write_text(oci_runtime.program(gates="/gates", namespaces=str(folder / "namespaces")))
        ours = replace(FACTS, runtime=oci_runtime.NAME, runtime_path=str(program))
        self.engine = FakeEngine(facts=ours if kept else FACTS)
        self.namespaces = FakeNamespaces()
        self.netlink = FakeNetlink()
        self.switch = FakeSwitch()
        self.plugging = FakePlugging(self.switch, self.netlink)
        self.service = FakeService(metadata=("10.20.0.2",))
        self.image_service = FakeImageService()
        self.disks = FakeDisks(self.archives)
        self.store = FakeFolderStore()
        self.virtapi = nova_objects.VirtAPI()
        self.described: list[str] = []
        self.fetched: list[tuple[str, Any]] = []
        self.told: list[tuple[str, int]] = []
        self.telling = threading.Condition()
        self.folder = folder

    def driver(self) -> driver.DockerDriver:
        made = driver.DockerDriver(
            self.virtapi,
            engine=self.engine,
            netlink=self.netlink,
            switch=self.switch,
            plugging=self.plugging,
            service=self.service,
            describe=lambda context, instance: self.describe(instance),
            image_service=self.image_service,
            travel=self.disks,
            store=self.store,
            namespaces=self.namespaces,
        )
        made._images._fetch = self._fetch
        made.register_event_listener(self._hear)
        return made

    def lose_network(self, instance: Any) -> None:
        """What holds a server's namespaces goes; the kernel takes them away if no process is in them."""
        if self.kept:
            self.namespaces.files.clear()
        else:
            self.engine.kill(names.container(uuid=instance.uuid, role=names.SANDBOX))

    def describe(self, instance: Any) -> None:
        self.described.append(instance.uuid)

    def server(self, command: list[str] | None = None, **more: Any) -> Any:
        instance = nova_objects.server(**more)
        layer = docker_archive.tar({"etc/motd": b"hello"})
        configuration = docker_archive.config([layer], command=["runs"] if command is None else command)
        self.archives[instance.image_ref] = docker_archive.save([layer], configuration=configuration)
        return instance

    def hears(self, uuid: str, transition: int) -> bool:
        with self.telling:
            return self.telling.wait_for(lambda: (uuid, transition) in self.told, 5)

    def _fetch(self, context: Any, image_id: str, data: Any, *, trusted_certs: Any) -> None:
        self.fetched.append((image_id, trusted_certs))
        data.write(self.archives[image_id])

    def _hear(self, event: Any) -> None:
        with self.telling:
            self.told.append((event.get_instance_uuid(), event.get_transition()))
            self.telling.notify_all()


def spawn(made: driver.DockerDriver, instance: Any, ports: Any, **more: Any) -> None:
    meta = nova_objects.image_meta(instance, **more.pop("properties", {}))
    known = {"network_info": ports, "block_device_info": {}}
    files, password = more.pop("injected_files", []), more.pop("admin_password", None)
    made.spawn(nova_objects.CONTEXT, instance, meta, files, password, {}, **{**known, **more})


@pytest.fixture(scope="session", autouse=True)
def _configuration() -> Iterator[None]:
    CONF([], project="nova", default_config_files=[])
    os_vif.initialize()
    yield
    CONF.reset()


@pytest.fixture(params=["kept", "sandbox"])
def bench(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Bench]:
    """Both ways to hold a server's namespaces: by mounts, and by a container."""
    kept = request.param == "kept"
    CONF.set_override("namespaces", str(tmp_path / "namespaces") if kept else "", "docker")
    CONF.set_override("host", "host-docker")
    CONF.set_override("binding_host", "chassis", "docker")
    CONF.set_override("port_ready_timeout", 1, "docker")
    CONF.set_override("network_backend", "ovn", "docker")
    CONF.set_override("instances_path", str(tmp_path / "instances"))
    CONF.set_override("lock_path", str(tmp_path / "locks"), "oslo_concurrency")
    yield Bench(tmp_path, kept=kept)
    CONF.clear_override("host")
    for name in ("binding_host", "port_ready_timeout", "network_backend", "cgroup_parent", "namespaces"):
        CONF.clear_override(name, "docker")


@pytest.fixture
def made(bench: Bench) -> Iterator[driver.DockerDriver]:
    """A driver that follows what the daemon tells."""
    found = bench.driver()
    found._watcher._settled = lambda uuid: True
    found.init_host("host-docker")
    for _ in range(500):  # until the events are followed
        if found._watcher._connected:
            break
        threading.Event().wait(0.01)
    yield found
    found.cleanup_host("host-docker")
