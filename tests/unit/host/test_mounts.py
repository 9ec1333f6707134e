# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
from pathlib import Path

import pytest

from novadocker.host import mounts

TABLE = """21 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
30 21 0:22 / /run rw - tmpfs tmpfs rw
31 30 0:23 / /run/cloud rw shared:5 master:3 - tmpfs tmpfs rw
32 31 0:24 / /run/cloud/a\\040b\\134c rw - tmpfs tmpfs rw
33 31 0:25 / /run/cloud/netns rw - tmpfs tmpfs rw
34 35 0:4 net:[4026532] /run/cloud/netns/deep/one rw - nsfs nsfs rw
35 33 0:26 / /run/cloud/netns rw - tmpfs tmpfs rw
36 30 0:27 / /run/cloudy rw - tmpfs tmpfs rw
37 31 0:28 / /run/cloud/größe rw - tmpfs tmpfs rw
"""


@pytest.fixture(autouse=True)
def table(tmp_path, monkeypatch):
    file = tmp_path / "mountinfo"
    file.write_bytes(TABLE.encode() + b"38 30 0:29 / /srv/\xff rw - tmpfs tmpfs rw\n")
    monkeypatch.setattr(mounts, "MOUNTINFO", file)
    return file


def test_deepest_first_and_of_two_on_one_place_the_upper():
    found = mounts.below(Path("/run/cloud"))
    assert found[0] == Path("/run/cloud/netns/deep/one")
    assert found[-1] == Path("/run/cloud")
    assert found.count(Path("/run/cloud/netns")) == 2
    assert len(found) == 6


def test_names_of_any_kind():
    found = mounts.below(Path("/run/cloud"))
    assert Path("/run/cloud/a b\\c") in found
    assert Path("/run/cloud/größe") in found


def test_a_neighbour_of_a_longer_name_is_none_of_ours():
    assert Path("/run/cloudy") not in mounts.below(Path("/run/cloud"))


@pytest.mark.parametrize(
    ("folder", "mounted"), [("/run/cloud", True), ("/run/cloud/netns/deep", False), ("/run/clou", False)]
)
def test_mounted(folder, mounted):
    assert mounts.is_mounted(Path(folder)) is mounted


def test_what_something_else_lies_over_is_not_mounted(table):
    """A file system mounted late over /var, or the machine's own mounts in a container's own /run."""
    table.write_text(
        TABLE + "40 30 0:30 / /run rw - tmpfs tmpfs rw\n41 40 0:31 / /run/cloud rw - tmpfs tmpfs rw\n"
    )
    assert mounts.below(Path("/run/cloud")) == [Path("/run/cloud")]
    assert not mounts.is_mounted(Path("/run/cloud/netns"))
