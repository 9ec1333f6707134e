# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
import io
import tarfile
from dataclasses import replace

import pytest
import zstandard
from tests.fakes import saved

from novadocker.errors import NovaDockerError
from novadocker.host.saved import archive, manifest


@pytest.fixture
def file(tmp_path):
    saved.write(tmp_path / "cloud.tar.zst", folder=tmp_path / "from")
    return tmp_path / "cloud.tar.zst"


def _read(file) -> dict[str, bytes]:
    found = {}
    with archive.opened(file) as opened:
        for entry, content in opened.unpack():
            stream = io.BytesIO()
            content.copy(stream)
            found[entry.path] = stream.getvalue()
    return found


def test_what_was_written_is_read(file):
    assert _read(file) == saved.CONTENT
    assert file.stat().st_mode & 0o777 == 0o600
    with archive.opened(file) as opened:
        assert opened.manifest.images == 1
        assert opened.manifest.size == sum(map(len, saved.CONTENT.values()))


def test_zeros_become_holes(file, tmp_path):
    target = tmp_path / "sparse"
    with archive.opened(file) as opened, target.open("wb") as stream:
        for entry, content in opened.unpack():
            content.copy(stream if entry.path == "mariadb/ibdata1" else None)
    assert target.read_bytes() == saved.CONTENT["mariadb/ibdata1"]
    assert target.stat().st_blocks * 512 < 2 << 20


def test_any_tool_opens_it(file):
    with file.open("rb") as stream:
        data = zstandard.ZstdDecompressor().stream_reader(stream, read_across_frames=True).read()
    with tarfile.open(fileobj=io.BytesIO(data)) as plain:
        assert plain.getnames() == ["manifest.json", *saved.CONTENT]


def _refused(file) -> str:
    with pytest.raises(NovaDockerError, match="not the whole of a saved cloud") as caught:
        _read(file)
    return caught.value.facts


@pytest.mark.parametrize("left", [0, 1, 0.5, -1, -40, -43, -200])
def test_a_truncated_one_is_refused(file, left):
    data = file.read_bytes()
    file.write_bytes(data[: int(len(data) * left) if 0 < left < 1 else left])
    assert "its end is missing" in _refused(file)


def test_one_with_its_middle_lost_is_refused(file):
    data = file.read_bytes()
    file.write_bytes(data[: len(data) // 2] + data[-42:])
    _refused(file)


def test_an_altered_byte_anywhere_is_found(file):
    data = file.read_bytes()
    for place in range(0, len(data), max(1, len(data) // 40)):
        file.write_bytes(data[:place] + bytes([data[place] ^ 4]) + data[place + 1 :])
        # The last byte of a frame's header says nothing of its content.
        try:
            assert _read(file) == saved.CONTENT, place
        except NovaDockerError:
            continue


@pytest.mark.parametrize("data", [b"", b"text\n", zstandard.compress(b"text"), bytes(5000)])
def test_another_program_s_file_is_refused(file, data):
    file.write_bytes(data)
    _refused(file)
    file.write_bytes(data + archive._END)
    _refused(file)


def _pack(file, members) -> None:
    """An archive of these members after a manifest that tells of `saved.CONTENT`."""
    told = saved.write(file, folder=file.parent / "from")
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w") as made:
        text = manifest.to_json(told)
        for info, data in [(_member("manifest.json", text)), *members]:
            made.addfile(info, io.BytesIO(data))
    file.write_bytes(zstandard.compress(plain.getvalue()) + archive._END)


def _member(name, data, kind=tarfile.REGTYPE):
    info = tarfile.TarInfo(name)
    info.size, info.type, info.linkname = len(data), kind, "/etc/passwd"
    return info, data


WRONG = {
    "one too many": lambda all_: [*all_, _member("keys/more", b"x")],
    "one too few": lambda all_: all_[:-1],
    "none": lambda all_: [],
    "another order": lambda all_: all_[::-1],
    "another content": lambda all_: [_member("keystone/fernet-keys/0", b"new key"), *all_[1:]],
    "another size": lambda all_: [_member("keystone/fernet-keys/0", b"old key "), *all_[1:]],
    "a link": lambda all_: [_member("keystone/fernet-keys/0", b"", tarfile.SYMTYPE), *all_[1:]],
    "a hard link": lambda all_: [_member("keystone/fernet-keys/0", b"", tarfile.LNKTYPE), *all_[1:]],
    "a folder": lambda all_: [_member("keystone/fernet-keys/0", b"", tarfile.DIRTYPE), *all_[1:]],
    "an escape": lambda all_: [_member("../../escaped", b"old key"), *all_[1:]],
}


@pytest.mark.parametrize("change", WRONG.values(), ids=WRONG.keys())
def test_files_that_are_not_what_it_says_are_refused(file, change):
    _pack(file, change([_member(name, data) for name, data in saved.CONTENT.items()]))
    _refused(file)


def test_a_manifest_that_does_not_come_first_is_none(file):
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w") as made:
        info, data = _member("secrets.json", b"{}")
        made.addfile(info, io.BytesIO(data))
    file.write_bytes(zstandard.compress(plain.getvalue()) + archive._END)
    assert _refused(file) == "it does not begin with what it is"


def test_an_interrupted_write_leaves_what_was_there(file, tmp_path):
    before = file.read_bytes()
    entries = (replace(saved.MANIFEST.entries[0], path="secrets.json"),)
    with pytest.raises(FileNotFoundError):
        archive.write(file, replace(saved.MANIFEST, entries=entries), folder=tmp_path / "nothing")
    assert file.read_bytes() == before
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["cloud.tar.zst"]
