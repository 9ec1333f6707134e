# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""What Nova's API is told of a server's use of its host."""

import datetime
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from nova.objects import base
from oslo_utils import timeutils
from tests.fakes import nova_objects
from tests.unit.virt.docker.conftest import Bench, spawn

from novadocker.virt.docker import names, usage

NET_DEV = """Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carr
    lo:     100       1    0    0    0     0          0         0      100       1    0    0    0     0    0
  eth0: 1234567    1000    1    2    0     0          0         0   765432     900    3    4    0     0    0
"""


class Groups:
    """A server's control groups as the kernel shows them: 5 ms, 20 MiB (4 of them cache), 3 requests."""

    @staticmethod
    def version_1(folder: Path, *, pid: int) -> Path:
        mounts = [
            f"3{number} 2 0:4{number} {root} {folder}/cgroup/{name} rw - cgroup cgroup rw,{name}"
            for number, (name, root) in enumerate(
                {"cpuacct": "/", "memory": "/", "blkio": "/docker", "pids": "/"}.items()
            )
        ]
        lines = "9:name=systemd:/\n5:cpu,cpuacct:/s/1\n4:memory:/s/1\n3:blkio:/docker/s/1\n0::/s/1\n"
        return _written(
            folder,
            {
                f"proc/{pid}/cgroup": lines,
                "proc/self/mountinfo": "\n".join(mounts),
                "cgroup/cpuacct/s/1/cpuacct.usage": "5000000\n",
                "cgroup/memory/s/1/memory.usage_in_bytes": f"{20 << 20}\n",
                "cgroup/memory/s/1/memory.stat": f"cache 1\ntotal_inactive_file {(5 << 20) - 1}\n",
                "cgroup/blkio/s/1/blkio.throttle.io_service_bytes_recursive": "8:0 Read 4096\n"
                "8:0 Write 8192\n8:0 Total 12288\nTotal 12288\n",
                "cgroup/blkio/s/1/blkio.throttle.io_serviced_recursive": "8:0 Read 1\n8:0 Write 2\nTotal 3\n",
            },
        )

    @staticmethod
    def version_2(folder: Path, *, pid: int) -> Path:
        return _written(
            folder,
            {
                f"proc/{pid}/cgroup": "0::/s/1\n",
                "proc/self/mountinfo": f"30 2 0:40 / {folder}/cgroup rw - cgroup2 cgroup2 rw\n",
                "cgroup/s/1/cpu.stat": "usage_usec 5000\nuser_usec 1\n",
                "cgroup/s/1/memory.current": f"{20 << 20}\n",
                "cgroup/s/1/memory.stat": f"anon 1\ninactive_file {(5 << 20) - 1}\n",
                "cgroup/s/1/io.stat": "8:0 rbytes=4096 wbytes=8192 rios=1 wios=2 dbytes=0 dios=0\n",
            },
        )


def _written(folder: Path, files: dict[str, str]) -> Path:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content)
    return folder / "proc"


@pytest.mark.parametrize("version", [Groups.version_1, Groups.version_2])
def test_the_kernel_s_counters(tmp_path: Path, version: Callable[..., Path]) -> None:
    assert usage.usage(7, proc=version(tmp_path, pid=7)) == usage.Usage(
        cpu_time=5_000_000, memory=(15 << 20) + 1, reads=(1, 4096), writes=(2, 8192)
    )


@pytest.fixture
def used(bench: Bench, tmp_path: Path) -> Any:
    """A driver and a server which has used something."""
    made, server, port = bench.driver(), bench.server(), nova_objects.port()
    spawn(made, server, [port])
    server.launched_at = timeutils.utcnow(with_timezone=True) - datetime.timedelta(seconds=90)
    server.config_drive = ""
    workload = bench.engine.inspect(names.container(uuid=server.uuid, role=names.WORKLOAD)).pid
    made._diagnostics._proc = Groups.version_1(tmp_path, pid=workload)
    (tmp_path / f"proc/{workload}/net").mkdir(parents=True, exist_ok=True)
    (tmp_path / f"proc/{workload}/net/dev").write_text(NET_DEV)
    return made, server, port


def test_the_object_of_2_48(used: Any) -> None:
    made, server, port = used
    told = made.get_instance_diagnostics(server)
    assert (told.state, told.hypervisor, told.hypervisor_os) == ("running", "docker", "linux")
    assert told.uptime in range(89, 95)
    assert not told.config_drive
    assert [(one.id, one.time) for one in told.cpu_details] == [(0, 5_000_000)]
    (nic,) = told.nic_details
    assert (nic.mac_address, nic.rx_octets, nic.tx_octets, nic.rx_drop, nic.tx_errors) == (
        port["address"], 1234567, 765432, 2, 3,
    )  # fmt: skip
    (disk,) = told.disk_details
    assert (disk.read_bytes, disk.write_requests) == (4096, 2)
    assert (told.memory_details.maximum, told.memory_details.used) == (64, 16)


def test_it_travels_to_the_api_without_the_name_of_a_driver(used: Any) -> None:
    # Nova's list of drivers has no other than its own: one that is named does not reach the API at all.
    made, server, _ = used
    sent = made.get_instance_diagnostics(server).obj_to_primitive()
    got = base.NovaObject.obj_from_primitive(sent)
    assert not got.obj_attr_is_set("driver")
    assert got.num_nics == 1
    with pytest.raises(ValueError, match="docker"):
        got.driver = "docker"


def test_the_words_of_before(used: Any) -> None:
    made, server, _ = used
    told = made.get_diagnostics(server)
    assert told["cpu0_time"] == 5_000_000
    assert told["memory"] == 65536
    assert told["memory-rss"] == 15360
    assert (told["eth0_rx"], told["eth0_tx_packets"], told["root_write"]) == (1234567, 900, 8192)
