# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
from dataclasses import replace

import pytest
from tests.fakes.clouds import MACHINE

from novadocker.errors import NovaDockerError
from novadocker.host.capacity import OWN_DISK_GB, Share, Split, overbooked, processor_ratio, split

MACHINES = {
    "two processors": {},
    "three processors": {"cpus": 3},
    "many processors": {"cpus": 65},
    "little memory": {"memory_mb": 1500},
    "odd memory": {"memory_mb": 8191},
    "least disk": {"disk_free_gb": OWN_DISK_GB + 4},
    "odd disk": {"disk_free_gb": 33},
    "all disk free": {"disk_free_gb": 100},
}


def _offers(shares: Split) -> dict[str, list[int]]:
    both = (shares.libvirt, shares.docker)
    return {
        "VCPU": [each.vcpus - each.reserved_vcpus for each in both],
        "MEMORY_MB": [each.memory_mb - each.reserved_memory_mb for each in both],
        "DISK_GB": [each.disk_gb - each.reserved_disk_gb for each in both],
    }


@pytest.mark.parametrize("facts", MACHINES.values(), ids=MACHINES.keys())
def test_together_they_offer_no_more_than_there_is(facts):
    machine = replace(MACHINE, **facts)
    shares = split(machine)
    offers = _offers(shares)
    assert not overbooked(offers, machine.resources)
    assert all(offer > 0 for both in offers.values() for offer in both)
    assert sum(offers["VCPU"]) == machine.cpus
    assert sum(offers["MEMORY_MB"]) <= machine.memory_mb - min(4096, machine.memory_mb // 2)
    assert sum(offers["DISK_GB"]) <= machine.disk_free_gb - OWN_DISK_GB


@pytest.mark.parametrize("facts", MACHINES.values(), ids=MACHINES.keys())
def test_a_flavor_of_all_processors_fits_either(facts):
    machine = replace(MACHINE, **facts)
    shares = split(machine)
    for share in (shares.libvirt, shares.docker):
        # Placement: max_unit is the total, and the overcommit ratio of 8 makes up for what is reserved.
        assert share.vcpus == machine.cpus
        assert (share.vcpus - share.reserved_vcpus) * 8 >= machine.cpus


def test_two_processors_as_numbers():
    assert split(MACHINE) == Split(
        libvirt=Share(
            vcpus=2,
            reserved_vcpus=1,
            memory_mb=16000,
            reserved_memory_mb=10048,
            disk_gb=100,
            reserved_disk_gb=70,
        ),
        docker=Share(
            vcpus=2,
            reserved_vcpus=1,
            memory_mb=16000,
            reserved_memory_mb=10048,
            disk_gb=30,
            reserved_disk_gb=0,
        ),
    )


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        pytest.param({"cpus": 1}, "two processors", id="one processor"),
        pytest.param({"disk_free_gb": OWN_DISK_GB + 3}, "too little room", id="little disk"),
        pytest.param({"disk_free_gb": 0}, "too little room", id="no disk"),
    ],
)
def test_what_is_too_small_is_refused(facts, words):
    with pytest.raises(NovaDockerError, match=words):
        split(replace(MACHINE, **facts))


def test_it_is_remembered_whole():
    shares = split(MACHINE)
    assert Split.from_dict(shares.to_dict()) == shares


@pytest.mark.parametrize(
    ("offers", "told"),
    [
        pytest.param({}, [], id="nothing"),
        pytest.param({"VCPU": [1, 1], "MEMORY_MB": [8000, 8000], "DISK_GB": [50, 50]}, [], id="all of it"),
        pytest.param({"VCPU": [2, 1]}, ["VCPU: 2 + 1 offered, the machine has 2"], id="processors"),
        pytest.param(
            {"MEMORY_MB": [16000, 1], "DISK_GB": [100, 30]},
            [
                "MEMORY_MB: 16000 + 1 offered, the machine has 16000",
                "DISK_GB: 100 + 30 offered, the machine has 100",
            ],
            id="memory and disk",
        ),
    ],
)
def test_overbooking_is_told(offers, told):
    assert overbooked(offers, MACHINE.resources) == told


@pytest.mark.parametrize("facts", MACHINES.values(), ids=MACHINES.keys())
def test_memory_and_not_processors_limits_how_many_containers_there_are(facts):
    share = split(replace(MACHINE, **facts)).docker
    cpus = share.vcpus - share.reserved_vcpus
    assert processor_ratio(share) * cpus >= 128
    assert processor_ratio(share) >= 8
