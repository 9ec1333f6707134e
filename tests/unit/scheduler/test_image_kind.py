# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""Which hosts the filter passes, as a table of what a request can say and what the server is already."""

from dataclasses import dataclass, field
from typing import Any

import pytest
from nova import exception, objects
from nova.scheduler.host_manager import HostState

from novadocker.scheduler.image_kind import ImageKindFilter

objects.register_all()

SERVER = "6f1c7a39-4b0f-4d55-8f6a-0c6b7f0a2b10"
CELL = objects.CellMapping(uuid="9b0a5e0e-7a44-4e2c-a1d8-2a1c9c3ad111", name="cell1")
HYPERVISORS = {"one": "QEMU", "one-docker": "docker", "new": None}


def image(container_format: str | None = None, **fields: Any) -> objects.ImageMeta:
    """An image as Nova makes it of what Glance answers."""
    return objects.ImageMeta.from_dict({"container_format": container_format, **fields})


def hosts() -> list[HostState]:
    states = []
    for name, hypervisor in HYPERVISORS.items():
        state = HostState(name, name, CELL.uuid)
        state.hypervisor_type = hypervisor
        states.append(state)
    return states


def spec(**fields: Any) -> objects.RequestSpec:
    return objects.RequestSpec(instance_uuid=SERVER, **fields)


def passed(request: objects.RequestSpec) -> list[str]:
    return [state.host for state in ImageKindFilter().filter_all(hosts(), request)]


@dataclass
class Records:
    """What Nova's databases say about the one server, and how often they were asked."""

    host: str | None = None
    saved_image: dict[str, str] = field(default_factory=dict)
    deleted: bool = False
    node_deleted: bool = False
    asked: int = 0

    def instance(self, context: Any, uuid: str) -> objects.Instance:
        self.asked += 1
        if self.deleted:
            raise exception.InstanceNotFound(instance_id=uuid)
        return objects.Instance(
            uuid=uuid, host=self.host, node=self.host, image_ref="", system_metadata=self.saved_image
        )

    def node(self, context: Any, host: str, nodename: str) -> objects.ComputeNode:
        if self.node_deleted:
            raise exception.ComputeHostNotFound(host=host)
        return objects.ComputeNode(host=host, hypervisor_hostname=nodename, hypervisor_type=HYPERVISORS[host])

    def mapping(self, context: Any, uuid: str) -> objects.InstanceMapping:
        return objects.InstanceMapping(instance_uuid=uuid, cell_mapping=CELL)


@pytest.fixture
def records(monkeypatch: pytest.MonkeyPatch) -> Records:
    known = Records()
    monkeypatch.setattr(objects.Instance, "get_by_uuid", known.instance)
    monkeypatch.setattr(objects.ComputeNode, "get_by_host_and_nodename", known.node)
    monkeypatch.setattr(objects.InstanceMapping, "get_by_instance_uuid", known.mapping)
    monkeypatch.setattr("nova.context.set_target_cell", lambda context, cell: None)
    return known


LIBVIRT, DOCKER = ["one"], ["one-docker"]


@pytest.mark.parametrize(
    ("request_spec", "expected"),
    [
        pytest.param(spec(image=image("docker")), DOCKER, id="an archive of docker save"),
        pytest.param(spec(image=image("DOCKER")), DOCKER, id="spelled large"),
        pytest.param(spec(image=image("bare", disk_format="qcow2")), LIBVIRT, id="a disk"),
        pytest.param(spec(image=image("ami")), LIBVIRT, id="a disk with its own kernel"),
        pytest.param(spec(image=image("ovf")), LIBVIRT, id="an appliance"),
        pytest.param(spec(image=image(None)), LIBVIRT, id="an image without a format"),
        pytest.param(spec(image=None), LIBVIRT, id="no image"),
        pytest.param(spec(), LIBVIRT, id="a request that never had the field"),
        pytest.param(
            spec(image=image(), is_bfv=True), LIBVIRT, id="from a volume, whose metadata loses the format"
        ),
        pytest.param(
            spec(image=image("docker"), requested_destination=objects.Destination(host="one")),
            DOCKER,
            id="a new server on a named host",
        ),
        pytest.param(
            spec(image=image("bare"), requested_destination=None), LIBVIRT, id="a destination never set"
        ),
    ],
)
def test_a_new_server_goes_by_its_image(
    records: Records, request_spec: objects.RequestSpec, expected: list[str]
) -> None:
    assert passed(request_spec) == expected
    assert records.asked == 0, "a new server costs no query"


def moving(container_format: str | None, *, cell: objects.CellMapping | None = CELL) -> objects.RequestSpec:
    """A request as the conductor sends it for a resize, a migration, an evacuation or an unshelve."""
    return spec(image=image(container_format), requested_destination=objects.Destination(cell=cell))


@pytest.mark.parametrize(
    ("known", "request_spec", "expected"),
    [
        pytest.param({"host": "one-docker"}, moving("docker"), DOCKER, id="a container"),
        pytest.param({"host": "one"}, moving("bare"), LIBVIRT, id="a virtual machine"),
        pytest.param(
            {"host": "one-docker"}, moving("bare"), DOCKER, id="a container whose rebuild was refused"
        ),
        pytest.param(
            {"host": "one"}, moving("docker"), LIBVIRT, id="a virtual machine whose rebuild was refused"
        ),
        pytest.param({"host": "one-docker"}, moving(None), DOCKER, id="an image that says nothing"),
        pytest.param({"host": "one-docker"}, moving("docker", cell=None), DOCKER, id="between cells"),
        pytest.param(
            {"host": None, "saved_image": {"image_container_format": "docker"}},
            moving(None),
            DOCKER,
            id="unshelved, from what the server remembers",
        ),
        pytest.param({"host": None}, moving("docker"), DOCKER, id="unshelved, remembering nothing"),
        pytest.param({"deleted": True}, moving("docker"), DOCKER, id="deleted meanwhile"),
        pytest.param(
            {"host": "one-docker", "node_deleted": True},
            moving("docker"),
            DOCKER,
            id="its dead host's record removed",
        ),
    ],
)
def test_a_server_stays_what_it_is(
    records: Records, known: dict[str, Any], request_spec: objects.RequestSpec, expected: list[str]
) -> None:
    for name, value in known.items():
        setattr(records, name, value)
    assert passed(request_spec) == expected
    assert records.asked == 1, "one query decides for all hosts"


def rebuilding(container_format: str) -> objects.RequestSpec:
    """A request as the API and the conductor send it for a rebuild from another image."""
    request = moving(container_format)
    request.scheduler_hints = {"_nova_check_type": ["rebuild"]}
    return request


@pytest.mark.parametrize(
    ("on", "container_format", "allowed"),
    [
        pytest.param("one-docker", "docker", True, id="container, docker image"),
        pytest.param("one-docker", "bare", False, id="container, disk image"),
        pytest.param("one", "bare", True, id="virtual machine, disk image"),
        pytest.param("one", "docker", False, id="virtual machine, docker image"),
    ],
)
def test_a_rebuild_goes_by_its_new_image(
    records: Records, on: str, container_format: str, allowed: bool
) -> None:
    records.host = on
    # Nova offers the filter only the host the server is on.
    (current,) = [state for state in hosts() if state.host == on]
    assert ImageKindFilter()._filter_one(current, rebuilding(container_format)) is allowed


def test_nova_loads_the_filter_by_its_path() -> None:
    from nova.scheduler.filters import HostFilterHandler

    path = "novadocker.scheduler.image_kind.ImageKindFilter"
    assert HostFilterHandler().get_matching_classes([path]) == [ImageKindFilter]
