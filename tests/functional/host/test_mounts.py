# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
import os
import subprocess
from pathlib import Path

from novadocker.host import mounts


def _mount(*words: object) -> None:
    subprocess.run(["mount", *map(str, words)], check=True)


def test_all_at_and_below_a_folder_is_unmounted_and_nothing_else(folder):
    ours, theirs = folder / "ours", folder / "ours and more"
    for place in (ours, theirs):
        place.mkdir()
        _mount("-t", "tmpfs", "ndk-ct", place)
    deep = ours / "a b" / "tief ü"
    deep.mkdir(parents=True)
    _mount("-t", "tmpfs", "ndk-ct", deep)
    _mount("-t", "tmpfs", "ndk-ct", deep)
    try:
        assert mounts.below(ours) == [deep, deep, ours]
        assert mounts.unmount_below(ours) == 3
        assert mounts.below(ours) == []
        assert mounts.is_mounted(theirs)
        assert mounts.unmount_below(ours) == 0
    finally:
        mounts.unmount_below(theirs)


def test_what_is_in_use_is_gone_from_sight(folder):
    _mount("-t", "tmpfs", "ndk-ct", folder)
    before = Path.cwd()
    try:
        os.chdir(folder)
        assert mounts.unmount_below(folder) == 1
    finally:
        os.chdir(before)
    assert not mounts.is_mounted(folder)


def test_loop_devices_are_found_by_their_file_even_a_deleted_one(folder):
    files = [folder / "disk", folder / "deleted disk"]
    for file in files:
        subprocess.run(["truncate", "--size=1M", file], check=True)
        subprocess.run(["losetup", "--find", file], check=True)
    files[1].unlink()
    assert len(mounts.loops_on(folder)) == 2
    assert mounts.loops_on(folder / "elsewhere") == []
    assert mounts.detach_loops(folder) == 2
    assert mounts.detach_loops(folder) == 0
