# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
import re
from pathlib import Path

from tests.unit.virt.docker.conftest import Bench

from novadocker.virt.docker import resources


def test_uptime_is_worded_as_by_the_program(tmp_path: Path) -> None:
    (tmp_path / "uptime").write_text("183845.07 350000.00\n")
    (tmp_path / "loadavg").write_text("0.08 0.30 1.27 2/345 6789\n")
    assert resources.uptime(tmp_path) == "up 2 days, 03:04, load average: 0.08, 0.30, 1.27"


def test_the_host_s_uptime_is_told(bench: Bench) -> None:
    told = bench.driver().get_host_uptime()
    assert re.fullmatch(r"up \d+ days, \d\d:\d\d, load average: [\d.]+, [\d.]+, [\d.]+", told)
