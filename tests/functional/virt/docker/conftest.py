# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""A driver on a real dockerd and a real Open vSwitch; Nova's objects are real, its services are not there."""

import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import nova.conf
import os_vif
import pytest
from nova.virt import event as virt_event
from tests.fakes import docker_archive, nova_objects
from tests.fakes.network import FakeService
from tests.functional.virt.docker import daemons
from vif_plug_ovs import privsep as plug_privsep
from vif_plug_ovs.ovsdb import impl_idl

from novadocker.virt.docker import driver, names

CONF = nova.conf.CONF
HOST = "host-docker"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    # A test that hangs must fail, so that its fixtures still stop their daemons.
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.timeout(120))


class Machine:
    """The daemons, and drivers on them."""

    def __init__(self, dockerd: daemons.Dockerd, switch: str) -> None:
        self.kept = {"namespaces": str(dockerd.namespaces)}
        self.dockerd = dockerd
        self.switch = switch
        self.archives: dict[str, bytes] = {}
        self.fetched: list[str] = []

    def driver(self, **options: Any) -> "Bench":
        """Return a started driver, as a new nova-compute has it."""
        CONF.set_override("host", HOST)
        CONF.set_override("host", self.dockerd.url, "docker")
        CONF.set_override("binding_host", "chassis", "docker")
        CONF.set_override("instances_path", str(self.dockerd.place / "instances"))
        CONF.set_override("lock_path", str(self.dockerd.place / "locks"), "oslo_concurrency")
        CONF.set_override("ovsdb_connection", self.switch, "os_vif_ovs")
        known = {"network_backend": "ovs", "port_ready_timeout": 5, "start_watch": 0.1, **self.kept}
        for name, value in {**known, **options}.items():
            CONF.set_override(name, value, "docker")
        # Each plugin object keeps the options it was made with, and its class the first connection ever made:
        # to another module's switch, which is gone, and waited for two minutes at a time.
        impl_idl.NeutronOvsdbIdl._ovsdb_connection = None
        os_vif.initialize(reset=True)
        return Bench(self)

    def fetch(self, context: Any, image_id: str, data: Any, *, trusted_certs: Any) -> None:
        self.fetched.append(image_id)
        data.write(self.archives[image_id])

    def server(self, command: list[str], **more: Any) -> Any:
        """Return a server whose image, in a make-believe Glance, is busybox running `command`."""
        instance = nova_objects.server(**more)
        self.archives[instance.image_ref] = docker_archive.busybox(command, tags=["tenant/own:latest"])
        return instance


class Bench:
    """One driver and what it told Nova."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.told: list[tuple[str, int]] = []
        self.telling = threading.Condition()
        self.virtapi = nova_objects.VirtAPI()
        self.driver = driver.DockerDriver(
            self.virtapi,
            service=FakeService(metadata=("10.20.0.2",)),
            describe=lambda context, instance: None,
        )
        self.driver._images._fetch = machine.fetch
        self.driver._watcher._settled = lambda uuid: True
        self.driver.register_event_listener(self._hear)
        self.driver.init_host(HOST)

    def spawn(self, instance: Any, ports: list[Any], **more: Any) -> None:
        properties = more.pop("properties", {})
        self.driver.spawn(
            nova_objects.CONTEXT, instance, nova_objects.image_meta(instance, **properties), [], None, {},
            network_info=ports, block_device_info={}, **more,
        )  # fmt: skip

    def destroy(self, instance: Any, ports: list[Any]) -> None:
        self.driver.destroy(nova_objects.CONTEXT, instance, ports)

    def pid(self, instance: Any) -> int:
        """Return the pid of the server's own process, past the init in front of it."""
        first = self.driver._containers.workload(instance.uuid).pid
        children = Path(f"/proc/{first}/task/{first}/children").read_text().split()
        return int(children[0]) if children else first

    def inside(self, instance: Any, *words: str) -> str:
        """Run a program of the host in the server's network namespace."""
        command = ["nsenter", f"--net={self.driver._containers.namespace(instance.uuid)}", *words]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout

    def hears(self, uuid: str, transition: int, *, within: float = 5) -> bool:
        with self.telling:
            return self.telling.wait_for(lambda: (uuid, transition) in self.told, within)

    def _hear(self, event: virt_event.LifecycleEvent) -> None:
        with self.telling:
            self.told.append((event.get_instance_uuid(), event.get_transition()))
            self.telling.notify_all()


@pytest.fixture(scope="module")
def machine() -> Iterator[Machine]:
    daemons.require("dockerd", "busybox", "ovsdb-server", "ovs-vswitchd", "ip", "nsenter")
    CONF([], project="nova", default_config_files=[])
    os_vif.initialize()
    plug_privsep.vif_plug.set_client_mode(False)
    with daemons.network_namespace(), daemons.dockerd() as dockerd, daemons.switch() as switch:
        for words in (
            ("address", "add", "10.20.0.1/24", "dev", "ndk-test"),
            ("link", "set", "ndk-test", "up", "mtu", "1442"),
        ):
            subprocess.run(["ip", *words], check=True)
        # The bridge's own port, like the servers', cannot leave checksums to the netdev datapath.
        subprocess.run(["ethtool", "-K", "ndk-test", "tx", "off"], check=True, capture_output=True)
        yield Machine(dockerd, switch)
    CONF.reset()
    CONF.clear()


@pytest.fixture
def bench(machine: Machine) -> Iterator[Bench]:
    """A driver; afterwards nothing of its servers may be left."""
    bench = machine.driver()
    yield bench
    discard(bench)


def discard(bench: Bench) -> None:
    """Remove what a test has left of its servers."""
    engine = bench.driver._engine
    for role in (names.WORKLOAD, names.SANDBOX):
        for one in engine.list(host=HOST, role=role):
            engine.remove(one.id)
    bench.driver._containers.remove_orphans()
    bench.driver._network.sweep([])
    bench.driver.cleanup_host(HOST)


def eventually(check: Callable[[], bool], *, within: float = 5) -> bool:
    deadline = time.monotonic() + within
    while not check() and time.monotonic() < deadline:
        time.sleep(0.02)
    return check()
