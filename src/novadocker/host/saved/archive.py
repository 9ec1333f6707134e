# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""The file: a tar archive under zstd, the manifest first, then the files in its order.

The last bytes say that it is whole: an upload that broke off is known before anything is read.
"""

import hashlib
import io
import os
import struct
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import zstandard

from novadocker import files
from novadocker.errors import NovaDockerError
from novadocker.host.saved import manifest as manifests
from novadocker.host.saved.manifest import Entry, Manifest

_MANIFEST = "manifest.json"
_MOST = 64 << 20
_BLOCK = 1 << 20
_ZEROS = bytes(_BLOCK)
# A frame that every zstd program skips (RFC 8878, 3.1.2).
_WORDS = b"this is the whole of a saved cloud"
_END = struct.pack("<II", 0x184D2A50, len(_WORDS)) + _WORDS


def entry(path: str, file: Path) -> Entry:
    """What a manifest says of a file."""
    with file.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    return Entry(path=path, size=file.stat().st_size, sha256=digest)


def write(target: Path, manifest: Manifest, *, folder: Path) -> None:
    """Write `target` whole or not at all, for its owner's eyes: the manifest, and its files from `folder`."""
    compressor = zstandard.ZstdCompressor(level=3, threads=os.cpu_count() or 1, write_checksum=True)
    with files.replacing(target, mode=0o600) as out:
        with (
            compressor.stream_writer(out, closefd=False) as packed,
            tarfile.open(fileobj=packed, mode="w|", format=tarfile.PAX_FORMAT) as archive,
        ):
            data = manifests.to_json(manifest)
            archive.addfile(_info(_MANIFEST, len(data)), io.BytesIO(data))
            for each in manifest.entries:
                with (folder / each.path).open("rb") as stream:
                    archive.addfile(_info(each.path, each.size), stream)
        out.write(_END)


def _info(name: str, size: int) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.size, info.mode = size, 0o600
    return info


class Saved:
    """A saved cloud that is being read."""

    def __init__(self, archive: tarfile.TarFile, manifest: Manifest) -> None:
        self._archive = archive
        self.manifest = manifest

    def unpack(self) -> Iterator[tuple[Entry, "Content"]]:
        """Its files in turn; the next one is read once this one's content was.

        :raises ValueError: if one is not what the manifest says.
        """
        for each in self.manifest.entries:
            member = self._archive.next()
            if member is None or member.name != each.path or not member.isreg() or member.size != each.size:
                raise ValueError(f"{each.path} is not where it is said to be")
            stream = self._archive.extractfile(member)
            assert stream is not None  # it is a regular file
            content = Content(each, stream)
            yield each, content
            content.copy(None)
        if self._archive.next() is not None:
            raise ValueError("there is more in it than it says")


class Content:
    """What one file holds."""

    def __init__(self, entry: Entry, stream: IO[bytes]) -> None:
        self._entry = entry
        self._stream = stream
        self._done = False

    def copy(self, target: IO[bytes] | None) -> None:
        """Write it to `target`, zeros as a hole; without one it is only looked at. Once is enough.

        :raises ValueError: if it is not what the manifest says.
        """
        if self._done:
            return
        self._done = True
        digest = hashlib.sha256()
        while block := self._stream.read(_BLOCK):
            digest.update(block)
            if target is not None:
                if block == _ZEROS[: len(block)]:
                    target.seek(len(block), os.SEEK_CUR)
                else:
                    target.write(block)
        if target is not None:
            target.truncate(self._entry.size)
        if digest.hexdigest() != self._entry.sha256:
            raise ValueError(f"{self._entry.path} is not what it was")


@contextmanager
def opened(path: Path) -> Iterator[Saved]:
    """A saved cloud, to be unpacked within the block.

    :raises NovaDockerError: there or here, if the file is none, ends early, or was altered.
    """
    try:
        with path.open("rb") as stream:
            _refuse_cut(stream)
            reader: Any = zstandard.ZstdDecompressor().stream_reader(stream)
            with reader, tarfile.open(fileobj=reader, mode="r|") as archive:
                yield Saved(archive, _manifest(archive))
    except (ValueError, EOFError, tarfile.TarError, zstandard.ZstdError) as error:
        raise NovaDockerError(
            f"{path} is not the whole of a saved cloud.",
            facts=str(error),
            hint="Take it anew from where it was saved; nothing was changed here.",
        ) from error


def _manifest(archive: tarfile.TarFile) -> Manifest:
    first = archive.next()
    if first is None or first.name != _MANIFEST or not first.isreg() or first.size > _MOST:
        raise ValueError("it does not begin with what it is")
    stream = archive.extractfile(first)
    assert stream is not None  # it is a regular file
    return manifests.from_json(stream.read())


def _refuse_cut(stream: IO[bytes]) -> None:
    size = stream.seek(0, os.SEEK_END)
    stream.seek(max(0, size - len(_END)))
    if stream.read() != _END:
        raise ValueError("its end is missing, or it is another program's")
    stream.seek(0)
