# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""The tiers' rules bite: each is broken once, in a pytest of its own."""

import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[3]

REACHING_OUT = """
import os, socket, subprocess
def test_socket(): socket.socket()
def test_pair(): socket.socketpair()
def test_process(): subprocess.run(["true"])
def test_shell(): os.system("true")
def test_swallowed():
    try:
        os.fork()
    except Exception:
        pass
def test_inside(): assert 1 + 1 == 2
"""
SKIPPING = """
import pytest
@pytest.mark.skip(reason="dockerd is not installed")
def test_mark(): pass
def test_inside(): pytest.skip("no time")
@pytest.mark.skip(reason="machine cannot: run KVM")
def test_allowed(): pass
@pytest.mark.xfail(reason="known")
def test_expected_to_fail(): assert False
"""
SKIPPED_MODULE = """
import pytest
pytest.importorskip("a_module_that_is_nowhere")
def test_nothing(): pass
"""


def outcome(tests: Path, tier: str, source: str, *options: str) -> str:
    """Run one file of a tier below its own tests/ with the plugin, and return pytest's last line."""
    (tests / tier).mkdir(parents=True)
    (tests / tier / "test_planted.py").write_text(source)
    code = f"""
import sys, pathlib, pytest
sys.path.insert(0, {str(PROJECT)!r})
from tests import tiers
tiers.TESTS = pathlib.Path({str(tests)!r})
sys.exit(pytest.main(["-q", "-p", "no:cacheprovider", "--rootdir", {str(tests)!r}, "-c", "/dev/null",
                      "-o", "markers=functional", {str(tests)!r}, *{list(options)!r}], plugins=[tiers]))
"""
    environment = {"PATH": "/usr/bin:/bin"}  # without CI, whatever runs this
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode in (0, 1, 2), done.stdout + done.stderr
    return done.stdout.strip().splitlines()[-1].split(" in ")[0]


def test_a_unit_test_stays_inside_its_process(tmp_path: Path) -> None:
    assert outcome(tmp_path / "tests", "unit", REACHING_OUT) == "5 failed, 1 passed"


def test_a_contract_test_of_a_fake_stays_inside_too(tmp_path: Path) -> None:
    assert outcome(tmp_path / "tests", "contract", REACHING_OUT) == "5 failed, 1 passed"


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        pytest.param((), "3 skipped, 1 xfailed", id="on a laptop"),
        pytest.param(("--require",), "1 failed, 1 skipped, 1 xfailed, 1 error", id="required"),
    ],
)
def test_a_skip_needs_a_machine_that_cannot(tmp_path: Path, options: tuple[str, ...], expected: str) -> None:
    assert outcome(tmp_path / "tests", "functional", SKIPPING, *options) == expected


def test_a_skipped_module_counts(tmp_path: Path) -> None:
    assert outcome(tmp_path / "tests", "functional", SKIPPED_MODULE, "--require") == "1 error"
