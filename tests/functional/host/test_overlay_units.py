# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""systemd takes the units that `nova-docker render` writes, without a word about any line."""

import subprocess
import sys
from pathlib import Path

import pytest
from tests.fakes import compute_hosts
from tests.functional.host import grounds

from novadocker.host.overlay import decide, papers
from novadocker.host.overlay.model import Wanted

pytestmark = pytest.mark.functional


@pytest.fixture
def units(tmp_path) -> list[Path]:
    grounds.require("systemd-analyze", "dockerd")
    program = Path(sys.executable).with_name("nova-compute")
    found = papers.write(decide.decide(Wanted(), compute_hosts.seen(program=program)))
    names = []
    for file in found.files:
        if file.name.endswith(".service"):
            names.append(tmp_path / file.name)
            names[-1].write_text(file.content)
    return names


def test_verify(units):
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *units], check=False, capture_output=True, text=True
    )
    said = [line for line in done.stderr.splitlines() if any(unit.name in line for unit in units)]
    assert (done.returncode, said) == (0, []), done.stderr


def test_a_line_it_does_not_know_would_be_told(units):
    units[0].write_text(units[0].read_text().replace("KillMode=mixed", "KillMode=mixedly"))
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", units[0]], check=False, capture_output=True, text=True
    )
    assert "KillMode" in done.stderr or "kill mode" in done.stderr
