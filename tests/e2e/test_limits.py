# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""Limits hold: a container tries to exceed each, and the server goes on."""

import json
import time

import pytest
from tests.e2e import inside
from tests.e2e.cloud import until

MIB = 1 << 20
RATE = 4 * MIB


@pytest.fixture(scope="module")
def limited(cloud, root_image):
    """A server of half a processor, 128 MiB, 64 processes, 1 GiB, an ephemeral disk asked for, 4 MiB/s."""
    specs = {
        "docker:pids": "64",
        "quota:cpu_quota": "50000",
        "quota:disk_read_bytes_sec": str(RATE),
        "quota:disk_write_bytes_sec": str(RATE),
    }
    image = {
        "source_type": "image",
        "destination_type": "local",
        "uuid": root_image.id,
        "boot_index": 0,
    }
    blank = {"source_type": "blank", "destination_type": "local", "boot_index": -1, "volume_size": 1}
    gone = {"delete_on_termination": True}
    disks = [{**each, **gone} for each in (image, blank)]
    with (
        inside.flavor(cloud, specs, ephemeral=2, swap=64) as flavor,
        cloud.server("e2e-limits", root_image, flavor=flavor.name, block_device_mapping=disks) as asked,
    ):
        server = cloud.settled(asked)
        assert server.status == "ACTIVE", server.fault
        yield server


def _inside(cloud, server, script, **more):
    return inside.run(cloud, server.id, script, **more)


def _seconds(cloud, server, script) -> float:
    began = time.monotonic()
    _inside(cloud, server, script)
    return time.monotonic() - began


@pytest.fixture(scope="module")
def small(cloud, root_image):
    """A server of 128 MiB and 64 of swap, and no limit for disks.

    With one the kernel does not give up for minutes: it drops the program's own pages, and has them read
    again as slowly as the limit says.
    """
    with (
        inside.flavor(cloud, {}, swap=64) as flavor,
        cloud.server("e2e-limits-memory", root_image, flavor=flavor.name) as asked,
    ):
        server = cloud.settled(asked)
        assert server.status == "ACTIVE", server.fault
        yield server


def test_memory_and_swap(cloud, small):
    done = _inside(cloud, small, "head -c 300000000 /dev/zero | tail -c 290000000 >/dev/null", check=False)
    assert "Killed" in done.stdout or done.returncode == 137, done
    folder = "/sys/fs/cgroup/memory"
    known = _inside(
        cloud,
        small,
        f"cat {folder}/memory.limit_in_bytes {folder}/memory.memsw.limit_in_bytes {folder}/memory.failcnt",
    ).stdout.split()
    assert [int(known[0]), int(known[1])] == [128 * MIB, (128 + 64) * MIB]
    assert int(known[2]) > 0
    assert cloud.becomes(small.id, "ACTIVE").power_state == 1


def test_folders_in_memory(cloud, limited):
    done = _inside(cloud, limited, "dd if=/dev/zero of=/dev/shm/x bs=1M count=70; rm /dev/shm/x")
    assert "No space left" in done.stdout


def test_processors(cloud, limited):
    used = "cat /sys/fs/cgroup/cpuacct/cpuacct.usage"
    began, before = time.monotonic(), int(_inside(cloud, limited, used).stdout)
    _inside(
        cloud, limited, "for i in 1 2; do timeout 3 sh -c 'while :; do :; done' & done; wait", check=False
    )
    share = (int(_inside(cloud, limited, used).stdout) - before) / 1e9 / (time.monotonic() - began)
    assert 0.05 < share < 0.6, share


def test_processes(cloud, limited):
    done = _inside(cloud, limited, "i=0; while [ $i -lt 100 ]; do sleep 2 & i=$((i+1)); done", check=False)
    assert "fork" in done.stdout, done.stdout
    until(
        lambda: _inside(cloud, limited, "cat /sys/fs/cgroup/pids/pids.max", check=False).stdout == "64\n",
        seconds=10,
        why="room for a process again",
    )


def test_the_root_disk(cloud, limited):
    done = _inside(cloud, limited, "fallocate -l 1500000000 /big", check=False)
    assert "quota exceeded" in done.stdout, done.stdout
    _inside(cloud, limited, "rm -f /big; fallocate -l 500000000 /big; rm /big")


def test_the_disk_s_rate(cloud, limited):
    # What is waited for obeys: reads, and writes that are synced or direct. Others are the kernel's to write.
    write = _seconds(cloud, limited, "dd if=/dev/urandom of=/synced bs=1M count=8 conv=fsync")
    read = _seconds(cloud, limited, "dd if=/synced of=/dev/null bs=1M iflag=direct")
    direct = _seconds(
        cloud, limited, "dd if=/synced of=/direct bs=1M count=4 oflag=direct; rm /synced /direct"
    )
    assert 1.2 < write < 20, write
    assert 1.2 < read < 20, read
    assert direct > 0.5, direct


def test_an_ephemeral_disk_holds_its_size_and_is_kept(cloud, limited):
    # One of 1 GiB was asked for, of the 2 that the flavor has.
    place = "/mnt/ephemeral0"
    done = _inside(cloud, limited, f"fallocate -l 1500000000 {place}/big", check=False)
    assert "quota exceeded" in done.stdout, done.stdout
    _inside(cloud, limited, f"rm -f {place}/big; echo kept >{place}/mark; chown 1000 {place}/mark")
    for how in ("SOFT", "HARD"):
        cloud.connection.compute.reboot_server(limited.id, how)
        cloud.becomes(limited.id, "ACTIVE", seconds=90)
    cloud.connection.compute.stop_server(limited.id)
    cloud.becomes(limited.id, "SHUTOFF", seconds=90)
    cloud.connection.compute.start_server(limited.id)
    cloud.becomes(limited.id, "ACTIVE")
    assert _inside(cloud, limited, "cat /mnt/ephemeral*/mark").stdout == "kept\n"


def test_a_delete_takes_the_ephemeral_disks(cloud, root_image):
    with inside.flavor(cloud, {}, ephemeral=1) as flavor:
        server = cloud.settled(cloud.create("e2e-ephemeral", root_image, flavor=flavor.name))
        assert server.status == "ACTIVE", server.fault
        (mount,) = [
            one
            for one in json.loads(inside.docker(cloud, "inspect", inside.container(server.id)).stdout)[0][
                "Mounts"
            ]
            if one["Destination"] == "/mnt/ephemeral0"
        ]
        storage = cloud.root / "data" / "docker" / "storage"
        assert mount["Source"].startswith(str(storage))
        assert list(storage.glob(f"*/nova-docker/{server.id}/ephemeral0"))
        cloud.remove(server.id)
        assert not list(storage.glob(f"*/nova-docker/{server.id}"))


def test_a_flavor_tightens_and_relaxes(cloud, root_image):
    specs = {
        "docker:no_new_privileges": "false",
        "docker:capabilities": "SETPCAP,SYS_BOOT",
        "docker:drop_capabilities": "NET_RAW",
        "docker:read_only_root": "true",
        "docker:tmpfs": "/run,/tmp",
        "docker:shm_size_mb": "16",
    }
    with (
        inside.flavor(cloud, specs) as flavor,
        cloud.server("e2e-chosen", root_image, flavor=flavor.name) as asked,
    ):
        server = cloud.settled(asked)
        assert server.status == "ACTIVE", server.fault
        status = dict(
            line.split(":\t", 1)
            for line in _inside(cloud, server, "cat /proc/self/status").stdout.splitlines()
        )
        assert status["NoNewPrivs"] == "0"
        held = int(status["CapEff"], 16)
        assert [bool(held >> bit & 1) for bit in (8, 22, 13, 21)] == [True, True, False, False]
        assert "Read-only" in _inside(cloud, server, "echo x >/x", check=False).stdout
        _inside(cloud, server, "echo x >/run/x && echo x >/tmp/x")
        shm = _inside(cloud, server, "dd if=/dev/zero of=/dev/shm/x bs=1M count=20; rm /dev/shm/x")
        assert "No space left" in shm.stdout


@pytest.mark.parametrize(
    "specs",
    [
        {"docker:privileged": "true"},
        {"docker:capabilities": "SYS_MODULE"},
        {"docker:pids": "none"},
        {"docker:no_new_privileges": "perhaps"},
    ],
    ids=lambda specs: next(iter(specs)),
)
def test_the_api_refuses_what_cannot_be(cloud, specs):
    with inside.flavor(cloud, {}) as flavor:
        answer = inside.say(cloud, flavor, specs, microversion="2.86")
        assert answer.status_code == 400, answer.text
        assert (
            inside.say(cloud, flavor, {"docker:pids": "64"}, microversion="2.86", member=True).status_code
            == 403
        )


def test_a_build_refuses_what_the_api_was_not_asked_to_check(cloud, root_image):
    with (
        inside.flavor(cloud, {"docker:privileged": "true"}, validated=False) as flavor,
        cloud.server("e2e-privileged", root_image, flavor=flavor.name) as asked,
    ):
        server = cloud.settled(asked)
        assert server.status == "ERROR"
        assert "docker:privileged" in server.fault["message"]
