# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
import os
import stat

import pytest

from novadocker import files


def _mode(path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_file_is_written_with_its_mode_whatever_the_umask_says(tmp_path):
    before = os.umask(0o077)
    try:
        assert files.write(tmp_path / "a", "text\n", mode=0o644)
    finally:
        os.umask(before)
    assert (tmp_path / "a").read_text() == "text\n"
    assert _mode(tmp_path / "a") == 0o644


def test_a_file_that_is_right_is_left_alone(tmp_path):
    files.write(tmp_path / "a", b"\x00\xff", mode=0o600)
    before = (tmp_path / "a").stat()
    assert not files.write(tmp_path / "a", b"\x00\xff", mode=0o600)
    after = (tmp_path / "a").stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_another_mode_alone_is_a_change_but_no_new_file(tmp_path):
    files.write(tmp_path / "a", "x", mode=0o644)
    inode = (tmp_path / "a").stat().st_ino
    assert files.write(tmp_path / "a", "x", mode=0o600)
    assert _mode(tmp_path / "a") == 0o600
    assert (tmp_path / "a").stat().st_ino == inode


def test_a_password_is_never_readable_by_others_on_its_way(tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr(files.os, "fsync", lambda handle: seen.append(stat.S_IMODE(os.fstat(handle).st_mode)))
    files.write(tmp_path / "a", "secret", mode=0o644)
    assert seen == [0o600]


def test_a_failed_write_leaves_the_old_file_and_nothing_beside_it(tmp_path, monkeypatch):
    files.write(tmp_path / "a", "old")

    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files.os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        files.write(tmp_path / "a", "new")
    assert (tmp_path / "a").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_a_folder_is_made_with_its_parents_once(tmp_path):
    assert files.make_directory(tmp_path / "a" / "b", mode=0o711)
    assert _mode(tmp_path / "a" / "b") == 0o711
    assert not files.make_directory(tmp_path / "a" / "b", mode=0o711)
    assert files.make_directory(tmp_path / "a" / "b", mode=0o750)


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '"text"', "5"])
def test_a_table_is_a_table(tmp_path, text):
    (tmp_path / "a").write_text(text)
    with pytest.raises(ValueError, match=r".+"):
        files.read_table(tmp_path / "a")
