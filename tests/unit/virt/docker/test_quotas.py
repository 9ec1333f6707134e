# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""What a flavor's quotas mean, and which disk they are of."""

from dataclasses import replace
from pathlib import Path

import pytest
from nova.api.validation.extra_specs import quota as novas
from tests.unit.virt.docker.test_values import GROUND, IMAGE, SERVER

from novadocker.extra_specs import BadExtraSpec
from novadocker.virt.docker import device, quotas, spec
from novadocker.virt.docker.errors import StorageError


def test_without_a_word_the_cap_is_the_vcpus() -> None:
    assert quotas.parse({}, vcpus=2) == quotas.Quotas(cpu_shares=2048, cpu_period=100_000, cpu_quota=200_000)
    assert quotas.parse({}, vcpus=512).cpu_shares == 262_144


def test_processors() -> None:
    told = {"quota:cpu_shares": "512", "quota:cpu_period": "20000", "quota:cpu_quota": "5000"}
    assert quotas.parse(told, vcpus=2) == quotas.Quotas(cpu_shares=512, cpu_period=20_000, cpu_quota=10_000)
    assert quotas.parse({"quota:cpu_quota": "-1"}, vcpus=2).cpu_quota == 0


def test_rates() -> None:
    told = {"quota:disk_read_bytes_sec": "1048576", "quota:disk_total_iops_sec": "100", "quota:vif_x": "1"}
    expected = {"read_bytes": 1 << 20, "read_iops": 100, "write_iops": 100}
    assert quotas.parse(told, vcpus=1).rates == expected


@pytest.mark.parametrize(
    "told",
    [
        {"quota:cpu_shares": "1"},
        {"quota:cpu_shares": "300000"},
        {"quota:cpu_period": "10"},
        {"quota:cpu_quota": "10"},
        {"quota:disk_read_bytes_sec": "fast"},
        {"quota:disk_read_bytes_sec": "1", "quota:disk_total_bytes_sec": "2"},
    ],
)
def test_what_cannot_be(told: dict[str, str]) -> None:
    with pytest.raises(BadExtraSpec, match="quota:"):
        quotas.parse(told, vcpus=1)


def test_the_names_are_nova_s() -> None:
    known = {one.name for one in novas.register()}
    ours = {
        f"quota:disk_{way}_{unit}_sec" for way in ("read", "write", "total") for unit in ("bytes", "iops")
    }
    assert ours | {"quota:cpu_shares", "quota:cpu_period", "quota:cpu_quota"} <= known


def test_a_limit_needs_a_disk() -> None:
    limited = replace(SERVER, quotas=quotas.parse({"quota:disk_read_iops_sec": "5"}, vcpus=1))
    with pytest.raises(StorageError, match="this host cannot"):
        spec.workload(limited, image=IMAGE, ground=GROUND)
    made = spec.workload(limited, image=IMAGE, ground=replace(GROUND, rate_device="/x/_storage"))
    assert (made.rates, made.rate_device) == ({"read_iops": 5}, "/x/_storage")


LOOP = (
    "30 1 0:81 / /srv/docker rw - btrfs /dev/loop4 rw\n"
    "31 30 0:81 /1.1 /srv/docker/1.1 rw - btrfs /dev/loop4 rw\n"
)
ROOT = "20 1 254:1 / / rw - ext4 /dev/root rw\n"


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """A /sys with a loop device, and a disk with a partition."""
    loop, part = tmp_path / "devices" / "loop4", tmp_path / "devices" / "vda" / "vda1"
    for place, number, name in (
        (loop, "7:4", "loop4"),
        (part.parent, "254:0", "vda"),
        (part, "254:1", "vda1"),
    ):
        place.mkdir(parents=True, exist_ok=True)
        (place / "dev").write_text(f"{number}\n")
        (place / "uevent").write_text(f"MAJOR=1\nDEVNAME={name}\n")
        for folder, entry in (("dev/block", number), ("class/block", name)):
            (tmp_path / folder).mkdir(parents=True, exist_ok=True)
            (tmp_path / folder / entry).symlink_to(place)
    (part / "partition").write_text("1\n")
    return tmp_path


def test_the_disk_of_a_loop_mount_is_the_loop_device(machine: Path) -> None:
    assert device.disk("/srv/docker/1.1", ROOT + LOOP, sys=machine) == Path("/dev/loop4")


def test_the_disk_of_a_partition_is_the_whole(machine: Path) -> None:
    assert device.disk("/var/lib/docker", ROOT + LOOP, sys=machine) == Path("/dev/vda")


def test_there_may_be_none(machine: Path, tmp_path: Path) -> None:
    assert device.disk("/srv", "30 1 0:50 / /srv rw - tmpfs tmpfs rw\n", sys=machine) is None
    assert device.disk("/srv", "", sys=machine) is None


def test_the_link_leads_to_the_disk_of_today(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for today in ("/dev/loop4", "/dev/loop5"):
        monkeypatch.setattr(device, "disk", lambda *_, today=today: Path(today))
        assert device.link(tmp_path, "/srv").readlink() == Path(today)
    monkeypatch.setattr(device, "disk", lambda *_: None)
    assert device.link(tmp_path, "/srv") is None
    assert list(tmp_path.iterdir()) == []
