# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""What a stream is packed with, and its content, unpacked as it is read, in bounded memory (pure)."""

import bz2
import gzip
import io
import lzma
import zlib
from collections.abc import Callable
from typing import Any, cast

import zstandard

from novadocker.virt.docker.tarball import Source

# What the unpacker may keep of what came before; the greatest that packers use without being asked to.
_WINDOW = 128 << 20
_CHUNK = 1 << 16

DAMAGED = (zlib.error, gzip.BadGzipFile, lzma.LZMAError, zstandard.ZstdError, EOFError, OSError)


class Peeked:
    """A source whose first bytes have been looked at."""

    def __init__(self, source: Source, size: int) -> None:
        self._source = source
        self.head = b""
        while len(self.head) < size and (chunk := source.read(size - len(self.head))):
            self.head += chunk
        self._waiting = self.head

    def read(self, size: int = -1, /) -> bytes:
        """Return the next bytes, those already looked at first."""
        if not self._waiting:
            return self._source.read(size)
        found, self._waiting = self._waiting[:size], self._waiting[size:]
        return found


def unpacked(source: Peeked) -> Source:
    """Return what is packed in a stream, or the stream itself where it is not packed."""
    for magic, unpack in _PACKERS.items():
        if source.head.startswith(magic):
            return unpack(source)
    return source


class _Stepwise(io.RawIOBase):
    """A stream through one of Python's decompressors; several packed streams in a row are one."""

    def __init__(self, source: Source, make: Callable[[], Any]) -> None:
        self._source = source
        self._make = make
        self._unpack = make()
        self._begun = False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        found = b""
        while not found:
            packed = b""
            if self._unpack.eof:
                packed = self._unpack.unused_data or self._source.read(_CHUNK)
                if not packed.strip(b"\0"):
                    return 0
                self._unpack = self._make()
            elif self._unpack.needs_input:
                packed = self._source.read(_CHUNK)
                if not packed:
                    raise EOFError("a packed stream is cut short")
            found = self._unpack.decompress(packed, len(buffer))
        buffer[: len(found)] = found
        return len(found)


def _stepwise(make: Callable[[], Any]) -> Callable[[Source], Source]:
    return lambda source: cast(Source, io.BufferedReader(_Stepwise(source, make), _CHUNK))


def _gzip(source: Source) -> Source:
    return gzip.GzipFile(fileobj=cast(Any, source), mode="rb")


class _Zstd:
    """A zstd decompressor with the manners of Python's: it gives no more at a time than is asked for."""

    # Four bytes can say "128 KiB of the same": so much of the packed stream at once makes 16 MiB at most.
    _AT_ONCE = 1 << 9

    def __init__(self) -> None:
        self._unpack = zstandard.ZstdDecompressor(max_window_size=_WINDOW).decompressobj()
        self._packed = b""
        self._found = b""

    @property
    def eof(self) -> bool:
        return bool(self._unpack.eof) and not self._found

    @property
    def unused_data(self) -> bytes:
        return bytes(self._unpack.unused_data) + self._packed

    @property
    def needs_input(self) -> bool:
        return not self._packed and not self._found

    def decompress(self, packed: bytes, most: int) -> bytes:
        self._packed += packed
        if not self._found and not self._unpack.eof:
            now, self._packed = self._packed[: self._AT_ONCE], self._packed[self._AT_ONCE :]
            self._found = self._unpack.decompress(now)
        found, self._found = self._found[:most], self._found[most:]
        return found


_PACKERS: dict[bytes, Callable[[Source], Source]] = {
    b"\x1f\x8b": _gzip,
    b"\x28\xb5\x2f\xfd": _stepwise(_Zstd),
    b"\x50\x2a\x4d\x18": _stepwise(_Zstd),  # a frame of it to be skipped
    b"BZh": _stepwise(bz2.BZ2Decompressor),
    b"\xfd7zXZ\0": _stepwise(lambda: lzma.LZMADecompressor(memlimit=2 * _WINDOW)),
}
