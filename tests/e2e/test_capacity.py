# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""One machine's capacity is counted once."""

import os
import re
from pathlib import Path

import pytest

KINDS_OF_STOCK = ("VCPU", "MEMORY_MB", "DISK_GB")


@pytest.fixture
def inventories(cloud):
    """What Placement holds of each provider, asked of its API itself."""
    connection = cloud.connection
    endpoint = connection.session.get_endpoint(service_type="placement")
    providers = connection.session.get(f"{endpoint}/resource_providers").json()["resource_providers"]
    return {
        each["name"]: connection.session.get(
            f"{endpoint}/resource_providers/{each['uuid']}/inventories"
        ).json()["inventories"]
        for each in providers
    }


def test_there_is_one_provider_for_each_hypervisor(cloud, inventories):
    assert set(inventories) == {cloud.host, cloud.docker_host}
    for inventory in inventories.values():
        assert set(KINDS_OF_STOCK) <= set(inventory)


def test_together_they_offer_no_more_than_the_machine(cloud, inventories):
    disk = os.statvfs(cloud.root)
    meminfo = Path("/proc/meminfo").read_text()
    machine = {
        "VCPU": len(os.sched_getaffinity(0)),
        "MEMORY_MB": int(re.search(r"MemTotal:\s+(\d+)", meminfo)[1]) // 1024,
        "DISK_GB": disk.f_blocks * disk.f_frsize >> 30,
    }
    for kind, there_is in machine.items():
        offered = {name: each[kind]["total"] - each[kind]["reserved"] for name, each in inventories.items()}
        assert all(amount > 0 for amount in offered.values()), (kind, offered)
        assert sum(offered.values()) <= there_is, (kind, offered)


def test_a_flavor_of_two_vcpus_fits_either(cloud, images, kind):
    assert cloud.connection.compute.find_flavor("m1.medium").vcpus == 2
    with cloud.server(f"e2e-two-vcpus-{kind}", images[kind], flavor="m1.medium") as server:
        settled = cloud.settled(server)
        assert settled.status == "ACTIVE", settled.fault


def test_status_shows_the_shares(cloud, inventories):
    shown = cloud.status()["capacity"]
    for name, inventory in inventories.items():
        for kind in KINDS_OF_STOCK:
            assert shown[name][kind] == inventory[kind]["total"] - inventory[kind]["reserved"]
