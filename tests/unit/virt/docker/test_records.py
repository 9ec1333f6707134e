# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""What a refused rebuild leaves in a server's record, and what a hard reboot makes of it."""

from types import SimpleNamespace
from typing import Any

import pytest
from nova import exception, objects
from tests.fakes import nova_objects
from tests.fakes.nova_objects import CONTEXT
from tests.unit.virt.docker.conftest import Bench, spawn

REFUSED = {
    "image_container_format": "bare",
    "image_disk_format": "qcow2",
    "image_base_image_ref": "another",
    "image_hw_disk_bus": "virtio",
    "owner_user_name": "demo",
}


@pytest.fixture
def request_spec(monkeypatch: pytest.MonkeyPatch) -> Any:
    found = SimpleNamespace(image=None, saved=False)
    found.save = lambda: setattr(found, "saved", True)
    monkeypatch.setattr(objects.RequestSpec, "get_by_instance_uuid", lambda context, uuid: found)
    return found


def _refused(bench: Bench) -> Any:
    server = bench.server(system_metadata=dict(REFUSED))
    server.save = lambda *args, **more: None
    bench.image_service.images[server.image_ref] = {
        "id": server.image_ref,
        "container_format": "docker",
        "disk_format": "raw",
        "min_disk": 0,
        "properties": {"os_command_line": "runs well"},
    }
    return server


def test_a_hard_reboot_gives_a_server_its_own_image_s_record_again(bench: Bench, request_spec: Any) -> None:
    made, server = bench.driver(), _refused(bench)
    spawn(made, server, [])
    bench.engine.remove(f"nova-{server.uuid}")
    made.reboot(CONTEXT, server, [], "HARD")
    assert server.system_metadata == {
        "image_container_format": "docker",
        "image_disk_format": "raw",
        "image_min_disk": "1",
        "image_base_image_ref": server.image_ref,
        "image_os_command_line": "runs well",
        "owner_user_name": "demo",
    }
    assert bench.engine.specs[f"nova-{server.uuid}"].command == ("runs", "well")
    assert (request_spec.image.container_format, request_spec.saved) == ("docker", True)


def test_what_cannot_be_mended_stays_and_the_reboot_goes_on(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unreachable(context: Any, uuid: str) -> Any:
        raise exception.RequestSpecNotFound(instance_uuid=uuid)

    monkeypatch.setattr(objects.RequestSpec, "get_by_instance_uuid", unreachable)
    made, server = bench.driver(), _refused(bench)
    spawn(made, server, [])
    made.reboot(CONTEXT, server, [], "HARD")
    assert server.system_metadata["image_container_format"] == "docker"
    bench.image_service.images.clear()
    server.system_metadata = dict(REFUSED)
    made.reboot(CONTEXT, server, [nova_objects.port()], "HARD")
    assert server.system_metadata == REFUSED
