# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
import subprocess
import sys

import pytest

from novadocker.errors import NovaDockerError
from novadocker.host import lock

HOLDER = """
import sys, pathlib
from novadocker.host import lock
with lock.held(pathlib.Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def holder(tmp_path):
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path / "root")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.communicate()


def test_of_two_the_second_is_told(holder, tmp_path):
    with pytest.raises(NovaDockerError, match="Another nova-docker"), lock.held(tmp_path / "root"):
        pytest.fail("held twice")


@pytest.mark.parametrize("end", ["regularly", "killed"])
def test_it_ends_with_its_holder_and_leaves_no_file(holder, tmp_path, end):
    if end == "killed":
        holder.kill()
    holder.communicate()
    with lock.held(tmp_path / "root"):
        assert list((tmp_path / "root").iterdir()) == []


def test_a_folder_that_was_removed_meanwhile_is_made_anew(tmp_path):
    root = tmp_path / "root"
    with lock.held(root):
        root.rmdir()
    with lock.held(root):
        assert root.is_dir()
