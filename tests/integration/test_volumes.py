# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""In a cloud with block storage, a container server refuses a volume in words and goes on."""

from nova.tests import fixtures as nova_fixtures
from tests.integration.cloud import OneMachine


def test_a_volume_is_refused_and_given_back(machine: OneMachine) -> None:
    cinder = machine.useFixture(nova_fixtures.CinderFixture(machine))
    server = machine.boot(machine.page)
    before = machine.workload(server)
    wanted = {"volumeAttachment": {"volumeId": cinder.IMAGE_BACKED_VOL}}
    machine.api.api_post(
        f"/servers/{server['id']}/os-volume_attachments", wanted, check_response_status=[200, 202]
    )
    event = machine._wait_for_action_fail_completion(server, "attach_volume", "compute_attach_volume")
    assert event["result"] == "Error"
    faults = machine.admin_api.get_server(server["id"])
    assert faults["status"] == "ACTIVE"
    assert machine.admin_api.get_server_volumes(server["id"]) == []
    assert cinder.attachment_ids_for_instance(server["id"]) == []
    assert machine.workload(server) == before
