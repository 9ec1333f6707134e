# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
import re
from pathlib import Path

import pytest
from tests.unit.virt.docker.conftest import Bench

from novadocker.virt.docker import resources

# What `openstack hypervisor show` takes it apart with.
CLIENT = r"\s*(.+)\sup\s+(.+),\s+(.+)\susers?,\s+load average:\s(.+)"


@pytest.mark.parametrize(
    ("seconds", "words"),
    [("183845.07", "2 days, 3:04"), ("90000.00", "1 day, 1:00"), ("240.00", "0:04")],
)
def test_uptime_is_worded_as_by_the_program(tmp_path: Path, seconds: str, words: str) -> None:
    (tmp_path / "uptime").write_text(f"{seconds} 350000.00\n")
    (tmp_path / "loadavg").write_text("0.08 0.30 1.27 2/345 6789\n")
    boot, session = (kind.to_bytes(2, "little") + bytes(382) for kind in (2, 7))
    (tmp_path / "utmp").write_bytes(boot + session + session)
    told = resources.uptime(proc=tmp_path, sessions=tmp_path / "utmp")
    assert re.match(CLIENT, told).groups()[1:] == (words, "2", "0.08, 0.30, 1.27")


def test_traits_of_the_processor_come_and_go_and_others_stay(tmp_path: Path) -> None:
    (tmp_path / "cpuinfo").write_text("processor\t: 0\nflags\t\t: fpu sse2 pni avx2 vmx\nbugs\t: none\n")
    flags = resources.processor_flags(tmp_path)
    before = {"CUSTOM_GOLD", "HW_CPU_X86_AVX512F", "COMPUTE_NODE"}
    assert resources.traits(before, flags=flags) == {
        "CUSTOM_GOLD",
        "COMPUTE_NODE",
        "CUSTOM_HYPERVISOR_DOCKER",
        "HW_CPU_X86_SSE2",
        "HW_CPU_X86_SSE3",
        "HW_CPU_X86_AVX2",
    }


def test_the_host_s_uptime_is_told(bench: Bench) -> None:
    made = bench.driver()
    assert re.match(CLIENT, made.get_host_uptime())
    assert re.match(CLIENT, made.get_available_resource("host-docker")["stats"]["uptime"])
