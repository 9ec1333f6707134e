# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""Nova's own examination of virt drivers, on a real dockerd.

It lets a driver off that does not implement something; here that counts as a failure, unless the support
matrix says that it is missing, or no driver's user ever meets it.
"""

import contextlib
import socket
import warnings
from collections.abc import Iterator
from typing import Any

import pytest
from nova import exception, objects, test
from nova.console import type as ctype
from nova.tests import fixtures as nova_fixtures
from nova.tests.unit.virt import test_virt_drivers
from sqlalchemy.exc import SADeprecationWarning
from tests.fakes import docker_archive
from tests.fakes.network import FakeNetlink, FakePlugging, FakeService, FakeSwitch
from tests.functional.virt.docker import daemons
from tools.reference import matrix, pages

from novadocker.virt.docker import names, plugging
from novadocker.virt.docker.adapter import base

# The image of Nova's test server.
IMAGE = "cedef40a-ed67-4d10-800e-17455edce175"

# What the base asks for that a container server has not, by the row of the matrix that says so.
MISSING = {
    "attach_detach_volume": "operation.attach-volume",
    "attach_detach_different_power_states": "operation.attach-volume",
    "swap_volume": "operation.swap-volume",
    "get_volume_connector": "storage.block",
    "get_volume_connector_storage_ip": "storage.block",
    "trigger_crash_dump": "operation.trigger-crash-dump",
    "get_vnc_console": "console.vnc",
    "get_spice_console": "console.spice",
    "live_migration": "operation.live-migrate",
    "live_migration_force_complete": "operation.force-live-migration-to-complete",
    "live_migration_abort": "operation.abort-in-progress-live-migration",
}
# Methods without a row: no user of the API meets them.
NOBODY_ASKS = {
    "block_stats": "the manager reads them for volumes' usage only",
    "get_instance_disk_info": "live migration's",
    "get_mks_console": "VMware's",
    "get_host_cpu_stats": "a monitor's of libvirt, off by default",
    "host_power_action_reboot": "no API since the extension of hosts went",
    "host_power_action_shutdown": "as before",
    "host_power_action_startup": "as before",
    "set_host_enabled": "the service's status does it, and no driver but libvirt listens",
    "get_device_name_for_instance": "Nova falls back on its own names",
    "soft_delete": "Nova falls back on stopping the server",
    "restore_running": "Nova falls back on starting the server",
    "restore_soft_deleted": "as before",
}


class Examination(test_virt_drivers._VirtDriverTestCase, test.TestCase):
    """Nova's base with our driver. What is behind its other doors than Docker's is a fake."""

    __test__ = False
    driver_module = "novadocker.virt.docker.DockerDriver"
    dockerd: daemons.Dockerd

    def setUp(self) -> None:
        plugging.OsVif()  # registers os-vif's options, which the driver's settings read
        self.flags(host=self.dockerd.url, binding_host="somehost", port_ready_timeout=5, group="docker")
        self.flags(enabled=True, group="serial_console")
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.flags(console_port=free.getsockname()[1], group="docker")
        self.netlink, self.switch = FakeNetlink(), FakeSwitch(hostname="somehost")
        fakes = {
            "KernelNetlink": lambda: self.netlink,
            "IdlSwitchDB": lambda **settings: self.switch,
            "OsVif": lambda: FakePlugging(self.switch, self.netlink),
            "Neutron": lambda client: FakeService(),
        }
        for name, fake in fakes.items():
            self.stub_out(f"{base.__name__}.{name}", fake)
        super().setUp()
        # Nova's tests make these errors; its newest SQLAlchemy brought some that its services only log.
        warnings.filterwarnings("ignore", category=SADeprecationWarning)
        self.image_service._imagedata[IMAGE] = _archive()
        self.stub_out("nova.tests.fixtures.GlanceFixture.update", _updated)
        self.connection.active_migrations = {}  # libvirt's own, which the base reaches for
        self.addCleanup(self._discard)

    def _rescued(self) -> Any:
        # The base's image has no id, which Nova's manager always gives.
        instance, network_info = self._get_running_instance()
        image_meta = objects.ImageMeta.from_dict({"id": IMAGE})
        self.connection.rescue(
            self.ctxt, instance, network_info, image_meta, "", None, objects.ShareMappingList()
        )
        return instance

    def test_rescue(self) -> None:
        self._rescued()

    def test_unrescue_rescued_instance(self) -> None:
        self.connection.unrescue(self.ctxt, self._rescued())

    def test_get_console_output(self) -> None:
        # Bytes, as libvirt's and as Nova's manager takes them; the base wants the fake driver's text.
        instance, _ = self._get_running_instance()
        self.assertIsInstance(self.connection.get_console_output(self.ctxt, instance), bytes)

    def test_get_serial_console(self) -> None:
        self.connection.init_host("")
        instance, _ = self._get_running_instance()
        console = self.connection.get_serial_console(self.ctxt, instance)
        self.assertIsInstance(console, ctype.ConsoleSerial)

    def _discard(self) -> None:
        engine = self.connection._engine
        for role in (names.WORKLOAD, names.SANDBOX):
            for one in engine.list(host=base.CONF.host, role=role):
                engine.remove(one.id)
        self.connection.cleanup_host("")


def _archive() -> bytes:
    """Return an image of busybox with the accounts whose password can be set."""
    accounts = {"etc": None, "etc/passwd": b"root:x:0:0::/:/bin/sh\n", "etc/shadow": b"root:*:1::::::\n"}
    layers = [docker_archive.busybox_layer(), docker_archive.tar(accounts)]
    return docker_archive.save(layers, configuration=docker_archive.config(layers, command=["sleep", "1000"]))


_update = nova_fixtures.GlanceFixture.update


def _updated(glance: Any, context: Any, image_id: str, metadata: Any, data: Any = None, **more: Any) -> Any:
    """Nova's fixture takes an image's data without its size, which Glance would count."""
    content = b"".join(iter(lambda: data.read(1 << 20), b"")) if data is not None else None
    known = {**metadata, "size": len(content)} if content is not None else metadata
    return _update(glance, context, image_id, known, content, **more)


TESTS = sorted(name for name in dir(Examination) if name.startswith("test_"))


@pytest.fixture(scope="module")
def dockerd() -> Iterator[daemons.Dockerd]:
    daemons.require("dockerd", "busybox")
    with daemons.dockerd() as daemon:
        yield daemon


@contextlib.contextmanager
def examined(dockerd: daemons.Dockerd, name: str) -> Iterator[Examination]:
    """Nova's test case, run by hand: pytest's support of unittest deletes what its clean-up still needs."""
    Examination.dockerd = dockerd
    case = Examination(name)
    try:
        case.setUp()
        yield case
        case.tearDown()
    finally:
        case.doCleanups()


@pytest.mark.parametrize("name", TESTS)
def test_nova_s_own(dockerd: daemons.Dockerd, name: str) -> None:
    with examined(dockerd, name) as case:
        method = getattr(Examination, name)
        # Past the decorator that lets drivers off.
        asked = getattr(method, "__wrapped__", method)
        try:
            asked(case)
        except (NotImplementedError, exception.InvalidVolume):
            _excused(name.removeprefix("test_"))


def _excused(what: str) -> None:
    rows = {row.key: row.support for row in matrix.read(pages.ROOT / matrix.SOURCE)}
    assert what in NOBODY_ASKS or rows[MISSING[what]] == "missing", f"the driver does not implement {what}"


@pytest.mark.parametrize("what", [*MISSING, *NOBODY_ASKS])
def test_an_excuse_is_for_a_test_that_is_there(what: str) -> None:
    assert f"test_{what}" in TESTS
