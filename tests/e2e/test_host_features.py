# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""What Nova gives every hypervisor: diagnostics, uptime, aggregates, groups, tags, quotas, and no volumes."""

import uuid
from pathlib import Path

import pytest
from tests.e2e.cloud import CONTAINER


def test_diagnostics(cloud, servers, kind):
    server = servers[kind]
    server.page()
    path = f"/servers/{server.id}/diagnostics"
    told = cloud.connection.compute.get(path, microversion="2.48").json()
    assert told["state"] == "running"
    assert (told["num_cpus"], told["num_nics"]) == (1, 1)
    (port,) = cloud.connection.network.ports(device_id=server.id)
    (nic,) = told["nic_details"]
    assert nic["mac_address"] == port.mac_address
    assert nic["rx_packets"] > 0
    assert told["uptime"] > 0
    if kind == CONTAINER:
        assert (told["hypervisor"], told["driver"]) == ("docker", None)
        assert told["cpu_details"][0]["time"] > 0
        assert 0 < told["memory_details"]["used"] <= told["memory_details"]["maximum"] == 128
        assert nic["tx_octets"] > 500, "the page went out"
        before = nic["tx_octets"]
        server.page()
        (nic,) = cloud.connection.compute.get(path, microversion="2.48").json()["nic_details"]
        assert nic["tx_octets"] > before
    of_before = cloud.connection.compute.get(path, microversion="2.1").json()
    assert of_before["cpu0_time"] > 0
    assert of_before["memory"] == 128 * 1024


def test_the_host_tells_its_uptime_and_address(cloud):
    (known,) = cloud.connection.compute.hypervisors(hypervisor_hostname_pattern=cloud.docker_host)
    found = cloud.connection.compute.get(f"/os-hypervisors/{known.id}", microversion="2.88").json()[
        "hypervisor"
    ]
    assert found["hypervisor_type"] == "docker"
    assert "load average" in found["uptime"]
    assert found["host_ip"] == "127.0.0.1"


def test_placement_knows_the_processor(cloud):
    (known,) = cloud.connection.compute.hypervisors(hypervisor_hostname_pattern=cloud.docker_host)
    told = cloud.connection.placement.get(f"/resource_providers/{known.id}/traits", microversion="1.6").json()
    flags = set(Path("/proc/cpuinfo").read_text().split())
    assert ("HW_CPU_X86_SSE2" in told["traits"]) is ("sse2" in flags)
    assert ("HW_CPU_X86_AVX2" in told["traits"]) is ("avx2" in flags)
    assert "CUSTOM_HYPERVISOR_DOCKER" in told["traits"]


def test_the_host_is_in_an_aggregate_and_placement_knows(cloud, images):
    compute = cloud.connection.compute
    (hypervisor,) = compute.hypervisors(hypervisor_hostname_pattern=cloud.docker_host)
    aggregate = compute.create_aggregate(name="e2e-aggregate")
    try:
        compute.add_host_to_aggregate(aggregate, cloud.docker_host)
        members = cloud.connection.placement.get(
            f"/resource_providers/{hypervisor.id}/aggregates", microversion="1.19"
        ).json()["aggregates"]
        assert aggregate.uuid in members
    finally:
        if cloud.docker_host in compute.get_aggregate(aggregate).hosts:
            compute.remove_host_from_aggregate(aggregate, cloud.docker_host)
        compute.delete_aggregate(aggregate)


def test_a_server_goes_to_the_host_that_was_asked_for_or_nowhere(cloud, images):
    compute, tiny = cloud.connection.compute, cloud.connection.compute.find_flavor("m1.tiny").id
    for host, outcome in ((cloud.docker_host, "ACTIVE"), (cloud.host, "ERROR")):
        body = {"name": "e2e-host", "imageRef": images[CONTAINER].id, "flavorRef": tiny, "networks": "none"}
        answer = compute.post("/servers", json={"server": {**body, "host": host}}, microversion="2.74").json()
        try:
            settled = cloud.settled(compute.get_server(answer["server"]["id"]))
            assert settled.status == outcome, settled.fault
            assert outcome == "ERROR" or settled.hypervisor_hostname == host
        finally:
            cloud.remove(answer["server"]["id"])


@pytest.mark.parametrize(
    ("policy", "second"),
    [("anti-affinity", "ERROR"), ("affinity", "ACTIVE"), ("soft-anti-affinity", "ACTIVE")],
)
def test_server_groups(cloud, images, policy, second):
    """On one docker host, a second server that must not be beside the first has no place."""
    compute = cloud.connection.compute
    group = compute.create_server_group(name=f"e2e-{policy}", policy=policy)
    hint = {"scheduler_hints": {"group": group.id}}
    try:
        with cloud.server("e2e-group-1", images[CONTAINER], **hint) as one:
            # Two at once may both be sent to the host, and one back from there, which is told in other words.
            assert cloud.settled(one).status == "ACTIVE"
            with cloud.server("e2e-group-2", images[CONTAINER], **hint) as two:
                settled = cloud.settled(two)
                assert settled.status == second, settled.fault
                assert set(compute.get_server_group(group.id).member_ids) == {one.id, two.id}
                if second == "ERROR":
                    assert "No valid host" in compute.get_server(two.id).fault["message"]
    finally:
        compute.delete_server_group(group)


def test_tags(cloud, servers, kind):
    compute, server = cloud.connection.compute, servers[kind]
    compute.put(f"/servers/{server.id}/tags/e2e-{kind}", microversion="2.26").raise_for_status()
    found = compute.get(f"/servers?tags=e2e-{kind}", microversion="2.26").json()["servers"]
    assert [one["id"] for one in found] == [server.id]
    compute.delete(f"/servers/{server.id}/tags/e2e-{kind}", microversion="2.26").raise_for_status()
    assert compute.get(f"/servers/{server.id}/tags", microversion="2.26").json()["tags"] == []


def test_a_quota_refuses_what_is_beyond_it(cloud, servers, images, kind):
    compute, project = cloud.connection.compute, cloud.connection.current_project_id
    used = len(list(compute.servers(all_projects=False)))
    before = compute.get_quota_set(project).instances
    compute.update_quota_set(project, instances=used)
    try:
        body = {
            "name": "e2e-quota",
            "imageRef": images[kind].id,
            "flavorRef": compute.find_flavor("m1.tiny").id,
            "networks": "none",
        }
        answer = compute.post("/servers", json={"server": body}, microversion="2.37")
        assert answer.status_code == 403
        assert "Quota exceeded for instances" in answer.json()["forbidden"]["message"]
    finally:
        compute.update_quota_set(project, instances=before)
    assert (
        compute.get(f"/limits?tenant_id={project}").json()["limits"]["absolute"]["totalInstancesUsed"] == used
    )


def test_volumes_are_refused_in_words_and_change_nothing(cloud, servers, kind):
    """There is no block storage here; Nova alone would answer that it does not know what happened (500)."""
    compute, server = cloud.connection.compute, servers[kind]
    before = compute.get_server(server.id)
    volume = str(uuid.uuid4())
    attach = {"volumeAttachment": {"volumeId": volume}}
    answer = compute.post(f"/servers/{server.id}/os-volume_attachments", json=attach, microversion="2.79")
    assert answer.status_code == 403
    assert "volumes-attachments" in answer.json()["forbidden"]["message"]
    assert compute.get(f"/servers/{server.id}/os-volume_attachments").json() == {"volumeAttachments": []}
    assert compute.get_server(server.id).status == before.status
    root = {"boot_index": 0, "uuid": volume, "source_type": "volume", "destination_type": "volume"}
    body = {
        "name": "e2e-volume",
        "flavorRef": compute.find_flavor("m1.tiny").id,
        "networks": "none",
        "block_device_mapping_v2": [root],
    }
    answer = compute.post("/servers", json={"server": body}, microversion="2.37")
    assert answer.status_code == 400
    assert "failed to get volume" in answer.json()["badRequest"]["message"]
    assert not [one for one in compute.servers() if one.name == "e2e-volume"]
