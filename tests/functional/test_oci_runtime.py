# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""The file that dockerd runs is a shell's and Python's program at once."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from novadocker import oci_runtime

pytestmark = pytest.mark.functional


@pytest.mark.parametrize(
    ("step", "through"), [("create", True), ("run", True), ("start", False), ("state", False)]
)
def test_only_a_creation_goes_through_python(tmp_path: Path, step: str, through: bool) -> None:
    bundle = tmp_path / "bundle"
    bundle.mkdir()
    (bundle / "config.json").write_text(json.dumps({"linux": {}}))
    program, runc = tmp_path / "runtime", tmp_path / "bin" / oci_runtime.RUNTIME
    program.write_text(oci_runtime.program())
    runc.parent.mkdir()
    runc.write_text('#!/bin/sh\nprintf "%s|" "$@"\n')
    for each in (program, runc):
        each.chmod(0o755)
    words = ["--log", "a b", step, "--bundle", str(bundle), "f00d"]
    done = subprocess.run(
        [program, *words],
        env={"PATH": f"{runc.parent}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "|".join(words) + "|"
    assert ("ioctl" in (bundle / "config.json").read_text()) is through
