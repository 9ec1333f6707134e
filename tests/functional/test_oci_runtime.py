# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""The file that dockerd runs is a shell's and Python's program at once."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from novadocker import oci_runtime
from novadocker.virt.docker.gates import Gates

pytestmark = pytest.mark.functional

WORDS = ["--log", "a b", "start", "f00d"]


class Runtime:
    """The program, its folder of gates, and a runc that prints its words."""

    def __init__(self, folder: Path) -> None:
        self.program, self.gates, runc = folder / "runtime", folder / "it's gates", folder / "bin" / "runc"
        self.program.write_text(oci_runtime.program(gates=str(self.gates)))
        self.sandboxes = folder / "sandbox-runtime"
        self.sandboxes.write_text(oci_runtime.sandbox_program())
        runc.parent.mkdir()
        runc.write_text('#!/bin/sh\nprintf "%s|" "$@"\n')
        for each in (self.program, self.sandboxes, runc):
            each.chmod(0o755)
        self._path = f"{runc.parent}:{os.environ['PATH']}"

    def begin(self, words: list[str]) -> "subprocess.Popen[Any]":
        return subprocess.Popen(
            [self.program, *words],
            env={"PATH": self._path},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, words: list[str]) -> str:
        begun = self.begin(words)
        said, errors = begun.communicate(timeout=20)
        assert begun.returncode == 0, errors
        return str(said)


@pytest.fixture
def runtime(tmp_path: Path) -> Runtime:
    return Runtime(tmp_path)


@pytest.mark.parametrize(
    ("step", "through"), [("create", True), ("run", True), ("start", False), ("state", False)]
)
def test_only_a_creation_goes_through_python(runtime: Runtime, step: str, through: bool) -> None:
    bundle = runtime.program.with_name("bundle")
    bundle.mkdir()
    (bundle / "config.json").write_text(json.dumps({"linux": {}}))
    words = ["--log", "a b", step, "--bundle", str(bundle), "f00d"]
    assert runtime.run(words) == "|".join(words) + "|"
    assert ("ioctl" in (bundle / "config.json").read_text()) is through


def test_a_start_waits_for_its_gate_and_no_other_does(runtime: Runtime) -> None:
    gates = Gates(runtime.gates)
    gates.prepare()
    with gates.shut("f00d") as gate:
        waiting = runtime.begin(WORDS)
        assert runtime.run(["start", "another"]) == "start|another|"
        assert runtime.run(["state", "f00d"]) == "state|f00d|"
        assert waiting.poll() is None
        gate.open()
        assert waiting.communicate(timeout=20)[0] == "|".join(WORDS) + "|"
    assert runtime.run(WORDS) == "|".join(WORDS) + "|"


def test_a_start_whose_gate_is_not_opened_fails(runtime: Runtime) -> None:
    gates = Gates(runtime.gates)
    gates.prepare()
    with gates.shut("f00d") as gate:
        waiting = runtime.begin(WORDS)
        gate.close()
        said, errors = waiting.communicate(timeout=20)
    # What runc has made ready by then goes.
    assert (waiting.returncode, said) == (1, "--log|a b|kill|f00d|KILL|")
    assert "did not open" in errors


def test_a_start_does_not_wait_for_who_has_died(runtime: Runtime) -> None:
    runtime.gates.mkdir()
    holder = subprocess.Popen(["flock", runtime.gates / "f00d", "sleep", "100"], start_new_session=True)
    while not (runtime.gates / "f00d").exists():
        assert holder.poll() is None
    waiting = runtime.begin(WORDS)
    os.killpg(holder.pid, 9)
    holder.wait()
    assert "kill" in waiting.communicate(timeout=20)[0]
    assert waiting.returncode == 1
    Gates(runtime.gates).prepare()
    assert runtime.run(WORDS) == "|".join(WORDS) + "|"


def test_a_sandbox_is_created_without_a_keyring(runtime: Runtime) -> None:
    runtime.program = runtime.sandboxes
    assert runtime.run(["--log", "a b", "create", "f00d"]) == "--log|a b|create|--no-new-keyring|f00d|"
    assert runtime.run(WORDS) == "|".join(WORDS) + "|"
