# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""Tags of ports and of the root disk, written where Nova's metadata looks for them."""

import concurrent.futures
import contextlib
import threading
from typing import Any

import pytest
from nova import exception, objects
from nova.api.metadata import base
from tests.fakes import nova_objects
from tests.fakes.nova_objects import CONTEXT
from tests.unit.virt.docker.conftest import Bench, spawn

from novadocker.virt.docker import names, tags

MAC, OTHER = "fa:16:3e:00:00:05", "fa:16:3e:00:00:06"


@pytest.fixture
def saved(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    saved: list[Any] = []
    monkeypatch.setattr(objects.Instance, "save", lambda self, **_: saved.append(self.device_metadata))
    return saved


def tagged(monkeypatch: pytest.MonkeyPatch, ports: dict[str, str | None], disk: str | None = None) -> None:
    vifs = [objects.VirtualInterface(address=mac, tag=tag) for mac, tag in ports.items()]
    root = objects.BlockDeviceMapping(source_type="image", destination_type="local", tag=disk)
    monkeypatch.setattr(objects.VirtualInterfaceList, "get_by_instance_uuid", lambda *_: vifs)
    monkeypatch.setattr(objects.BlockDeviceMappingList, "get_by_instance_uuid", lambda *_: [root])


def told(instance: Any) -> Any:
    """What the metadata service makes of it."""
    metadata = base.InstanceMetadata.__new__(base.InstanceMetadata)
    metadata.instance = instance
    return metadata._get_device_metadata(base.OPENSTACK_VERSIONS[-1])


def test_what_is_tagged_is_in_the_metadata(monkeypatch: pytest.MonkeyPatch, saved: list[Any]) -> None:
    server = nova_objects.server()
    tagged(monkeypatch, {MAC: "front", OTHER: None}, disk="system")
    tags.describe(CONTEXT, server)
    assert saved
    assert "device_metadata" not in server.obj_what_changed(), "Nova's next save would write it again"
    read = objects.InstanceDeviceMetadata.obj_from_primitive(saved[-1].obj_to_primitive())
    assert not read.obj_what_changed(), "so would the next save of whoever reads it"
    assert told(server) == [
        {"type": "nic", "mac": MAC, "tags": ["front"], "bus": "none", "address": "none", "vf_trusted": False},
        {"type": "disk", "path": "/", "tags": ["system"], "bus": "none", "address": "none"},
    ]


def test_without_tags_nothing_is_written(monkeypatch: pytest.MonkeyPatch, saved: list[Any]) -> None:
    server = nova_objects.server()
    tagged(monkeypatch, {MAC: None})
    tags.describe(CONTEXT, server)
    tags.forget(CONTEXT, server, MAC)
    assert (server.device_metadata, saved) == (None, [])


def test_a_detached_port_is_forgotten(monkeypatch: pytest.MonkeyPatch, saved: list[Any]) -> None:
    """Of two ports detached at once, each request has read the record before the other was done."""
    first, second = (nova_objects.server() for _ in range(2))
    tagged(monkeypatch, {MAC: "front", OTHER: "back"})
    for request in (first, second):
        tags.describe(CONTEXT, request)
    stored = objects.Instance(device_metadata=first.device_metadata)
    monkeypatch.setattr(objects.Instance, "get_by_uuid", lambda *_, **__: stored)
    tags.forget(CONTEXT, first, MAC)
    assert [device["tags"] for device in told(first)] == [["back"]]
    stored.device_metadata = first.device_metadata
    tags.forget(CONTEXT, second, OTHER)
    assert told(second) == []
    saves = len(saved)
    tags.forget(CONTEXT, second, "fa:16:3e:00:00:99")
    assert len(saved) == saves, "a port without a tag changes nothing"


def test_two_requests_at_once_write_one_after_the_other(
    monkeypatch: pytest.MonkeyPatch, saved: list[Any]
) -> None:
    first = nova_objects.server()
    second = nova_objects.server(uuid=first.uuid)
    tagged(monkeypatch, {MAC: "front", OTHER: "back"})
    for request in (first, second):
        tags.describe(CONTEXT, request)
    both_have_read = threading.Barrier(2)

    def read(*_: Any, **__: Any) -> Any:
        stored = objects.Instance(device_metadata=saved[-1])
        with contextlib.suppress(threading.BrokenBarrierError):
            both_have_read.wait(timeout=0.2)
        return stored

    monkeypatch.setattr(objects.Instance, "get_by_uuid", read)
    with concurrent.futures.ThreadPoolExecutor() as threads:
        list(threads.map(lambda one: tags.forget(CONTEXT, *one), ((first, MAC), (second, OTHER))))
    assert saved[-1].devices == []


def test_a_server_is_described_when_it_has_its_ports(bench: Bench) -> None:
    server, port = bench.server(), nova_objects.port()
    made = bench.driver()
    spawn(made, server, [])
    nova_objects.cached(server, port)
    made.attach_interface(CONTEXT, server, None, port)
    assert bench.described == [server.uuid] * 2


def test_a_server_is_plugged_while_it_is_described(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    plugged, found = threading.Event(), []
    plug = bench.plugging.plug

    def plugging(*given: Any) -> Any:
        plugged.set()
        return plug(*given)

    monkeypatch.setattr(bench.plugging, "plug", plugging)
    monkeypatch.setattr(bench, "describe", lambda instance: found.append(plugged.wait(5)))
    spawn(bench.driver(), bench.server(), [nova_objects.port()])
    assert found == [True]


def test_a_server_that_cannot_be_described_is_not_built(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(instance: Any) -> None:
        raise exception.InstanceNotFound(instance_id=instance.uuid)

    monkeypatch.setattr(bench, "describe", fails)
    with pytest.raises(exception.NovaException):
        spawn(bench.driver(), bench.server(), [nova_objects.port()])
    assert not bench.engine.list(host="host-docker", role=names.WORKLOAD)
