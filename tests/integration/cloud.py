# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""Nova in one process: API, conductor, scheduler, Placement, and two nova-compute as on our one machine.

Real are all of Nova and Placement, our filter and our driver, loaded as nova-compute loads it. Fakes are
Nova's own for Neutron, Glance and the VM hypervisor, and ours for what stands behind the driver's doors.
"""

import functools
import sys
import warnings
from typing import Any
from unittest import mock

from nova.tests.functional import integrated_helpers
from oslo_utils.fixture import uuidsentinel
from sqlalchemy.exc import SADeprecationWarning
from tests.fakes import docker_archive
from tests.fakes.engine import FakeEngine
from tests.fakes.network import FakeNetlink, FakePlugging, FakeService, FakeSwitch

from novadocker.virt.docker import plugging
from novadocker.virt.docker.adapter import base

MACHINES, CONTAINERS = "one", "one-docker"
CHASSIS = "one"


class OneMachine(integrated_helpers.ProviderUsageBaseTestCase):
    """A machine with both hypervisors; servers are made and asked for through the REST API."""

    __test__ = False  # not a test by itself: a fixture of pytest's, see conftest.py
    compute_driver = "fake.MediumFakeDriver"

    def runTest(self) -> None:
        """Nothing; unittest wants a method to name."""

    def setUp(self) -> None:
        # Before the scheduler starts, which reads them once.
        ours = "novadocker.scheduler.image_kind.ImageKindFilter"
        self.flags(
            available_filters=["nova.scheduler.filters.all_filters", ours],
            enabled_filters=["ComputeFilter", "ImagePropertiesFilter", "ImageKindFilter"],
            group="filter_scheduler",
        )
        # Nova's fixtures look for it in Nova's checkout; the wheel puts it here.
        self.flags(api_paste_config=f"{sys.prefix}/etc/nova/api-paste.ini", group="wsgi")
        # As our nova-conductor has it.
        self.flags(workers=1, group="conductor")
        ours = {"nova-conductor": "novadocker.conductor.manager.ConductorManager"}
        managers = mock.patch.dict("nova.service.SERVICE_MANAGERS", ours)
        managers.start()
        self.addCleanup(managers.stop)
        super().setUp()
        # Nova's tests make these errors; its newest SQLAlchemy brought some that its services only log.
        warnings.filterwarnings("ignore", category=SADeprecationWarning)
        subnet = self.neutron.subnet_1
        self.neutron._subnets[subnet["id"]] = {**subnet, "cidr": "192.168.1.0/24"}  # theirs has host bits
        self._start_compute(MACHINES)
        self.flags(compute_driver="novadocker.virt.docker.DockerDriver")
        self.flags(binding_host=CHASSIS, group="docker")
        self._put_fakes_behind_the_doors()
        self.docker = self._start_compute(CONTAINERS)
        self.addCleanup(self.docker.driver.cleanup_host, CONTAINERS)
        self.page = self.container_image(["serve"])
        self.disk = uuidsentinel.disk
        self.glance.create(None, {**self.glance.image1, "id": self.disk, "container_format": "bare"})

    def start_service(self, name: str, *arguments: Any, **options: Any) -> Any:
        """As Nova's, which keeps none of its conductors."""
        started = super().start_service(name, *arguments, **options)
        if name == "conductor":
            self.conductor = started
        return started

    def _put_fakes_behind_the_doors(self) -> None:
        self.engine, self.netlink, self.switch = FakeEngine(), FakeNetlink(), FakeSwitch(hostname=CHASSIS)
        fakes = {
            "DockerEngine": lambda **settings: self.engine,
            "KernelNetlink": lambda: self.netlink,
            "IdlSwitchDB": lambda **settings: self.switch,
            "OsVif": functools.partial(_os_vif, FakePlugging(self.switch, self.netlink)),
            "Neutron": lambda client: FakeService(),
        }
        for name, fake in fakes.items():
            self.stub_out(f"{base.__name__}.{name}", fake)

    def container_image(self, command: list[str], *, name: str = "page", content: bytes | None = None) -> str:
        """Put a docker-save archive into Glance and return its id."""
        # Its command is all a fake daemon needs: the layer is empty.
        layer = docker_archive.tar({})
        archive = docker_archive.save([layer], configuration=docker_archive.config([layer], command=command))
        image_id = getattr(uuidsentinel, name)
        described = {**self.glance.image1, "id": image_id, "container_format": "docker", "disk_format": "raw"}
        self.glance.create(None, {**described, "name": name})
        self.glance._imagedata[image_id] = archive if content is None else content
        return image_id

    def boot(self, image: str, *, expected_state: str = "ACTIVE", **request: Any) -> dict[str, Any]:
        """Create a server with one port on Nova's fake network."""
        networks = request.pop("networks", [{"port": self.neutron.port_1["id"]}])
        return self._create_server(
            image_uuid=image, networks=networks, expected_state=expected_state, **request
        )

    def rebuild(self, server: dict[str, Any], image: str, *, expected_state: str) -> dict[str, Any]:
        """Rebuild a server from an image and return what the API says of it afterwards."""
        self.api.post_server_action(server["id"], {"rebuild": {"imageRef": image}})
        expected = {"status": expected_state, "OS-EXT-STS:task_state": None}
        return dict(self._wait_for_server_parameter(server, expected))

    def host_of(self, server: dict[str, Any]) -> str:
        return str(self.admin_api.get_server(server["id"])["OS-EXT-SRV-ATTR:host"])

    def workload(self, server: dict[str, Any]) -> Any:
        """The container of a server, by its label; None where there is none."""
        known = self.engine.list(host=CONTAINERS, role="workload")
        return next((one for one in known if one.labels["nova.docker.uuid"] == server["id"]), None)


def _os_vif(fake: FakePlugging) -> FakePlugging:
    plugging.OsVif()  # registers os-vif's options, which the driver's settings read
    return fake
