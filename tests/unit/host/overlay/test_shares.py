# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
import pytest

from novadocker.errors import NovaDockerError
from novadocker.host.overlay import shares
from novadocker.host.overlay.shares import Amounts

MACHINE = Amounts(cpus=8, memory_mb=32000, disk_gb=100)
KEPT = Amounts(cpus=1, memory_mb=2000, disk_gb=10)
NOTHING = Amounts(cpus=0, memory_mb=0, disk_gb=0)


def divide(**changed):
    given = {
        "machine": MACHINE, "kept": KEPT, "wanted": NOTHING, "beside_libvirt": True, "disk_is_apart": False,
    }  # fmt: skip
    return shares.divide(**given | changed)


@pytest.mark.parametrize("wanted", [NOTHING, Amounts(cpus=2, memory_mb=1000, disk_gb=5)])
def test_together_they_offer_what_the_host_offered_before(wanted):
    found = divide(wanted=wanted)
    for kind, has, kept in (("cpus", 8, 1), ("memory_mb", 32000, 2000), ("disk_mb", 102400, 10240)):
        name = f"reserved_host_{kind}"
        assert 2 * has - found.docker[name] - found.libvirt[name] == has - kept


def test_a_file_system_of_its_own_needs_nothing_kept_back():
    found = divide(disk_is_apart=True)
    assert found.docker["reserved_host_disk_mb"] == 0
    assert found.libvirt["reserved_host_disk_mb"] == (10 + found.containers.disk_gb) * 1024


def test_processors_by_number_are_divided_by_number():
    found = divide(
        pool=frozenset({2, 4, 5, 6, 7}),
        pool_is_libvirt_s=True,
        wanted=Amounts(cpus=2, memory_mb=0, disk_gb=0),
    )
    assert (found.libvirt_set, found.docker_set) == ("2,4,5", "6,7")
    assert found.docker["reserved_host_cpus"] == 0  # Nova refuses both at once
    assert "reserved_host_cpus" not in found.libvirt


def test_processors_that_libvirt_gives_to_nobody_are_all_the_containers():
    found = divide(pool=frozenset({0, 1}), pool_is_libvirt_s=False)
    assert (found.containers.cpus, found.docker_set, found.libvirt_set) == (2, "0,1", "")


@pytest.mark.parametrize("much", [{"cpus": 8}, {"memory_mb": 30001}, {"disk_gb": 91}])
def test_more_than_there_is(much):
    with pytest.raises(NovaDockerError, match="not that much"):
        divide(wanted=Amounts(**{"cpus": 0, "memory_mb": 0, "disk_gb": 0} | much))


def test_sets_as_nova_writes_them():
    assert shares.processors("0-3,^2, 8") == {0, 1, 3, 8}
    assert shares.processors("") == frozenset()
    with pytest.raises(NovaDockerError, match="no set of processors"):
        shares.processors("some")
