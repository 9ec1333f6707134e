# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""A tar archive read forward once, in constant memory (pure).

Python's own reader keeps what a header claims about itself (long names, extended headers, maps of sparse
files) in memory, whatever it claims. What is read here was made by somebody we do not know.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

BLOCK = 512
FILE, DIRECTORY, SYMLINK, HARDLINK, DEVICE, PIPE, UNKNOWN = (
    "file", "directory", "symlink", "hardlink", "device", "pipe", "unknown",
)  # fmt: skip

_KINDS = {b"0": FILE, b"\0": FILE, b"7": FILE, b"S": FILE, b"5": DIRECTORY, b"2": SYMLINK, b"1": HARDLINK,
          b"3": DEVICE, b"4": DEVICE, b"6": PIPE}  # fmt: skip
_SPARSE = b"S"
_LONG_NAME, _LONG_LINK, _EXTENDED, _GLOBAL = b"L", b"K", (b"x", b"X"), b"g"
# Names, links and attributes of one entry. Go, and so Docker, reads no more either.
_MOST_DESCRIPTION = 1 << 20
_CHUNK = 1 << 20
_NOTHING = bytes(BLOCK)


class TarError(Exception):
    """It is not a tar archive, or not a sound one."""


class TarTruncated(TarError):
    """It ends where more was announced."""


class Source(Protocol):
    """Bytes, read forward."""

    def read(self, size: int, /) -> bytes:
        """Return the next bytes, at most `size`; none at the end."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing in an archive.

    :ivar size: bytes of its content once it is unpacked: with the holes of a sparse file filled.
    :ivar stored: bytes of it in the archive.
    """

    name: str
    kind: str
    size: int
    stored: int
    link: str


class Tarball:
    """The entries of an archive, in its order, and the content of the one reached last."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._left = 0
        self._padding = 0

    def __iter__(self) -> Iterator[Entry]:
        described: dict[str, str] = {}
        header = self._source.read(BLOCK)
        if len(header) < BLOCK or not starts_one(header):
            raise TarError("it does not begin as a tar archive does")
        while header != _NOTHING:
            kind, stored = header[156:157], _number(header[124:136])
            _check(header)
            if kind in {_LONG_NAME, _LONG_LINK, *_EXTENDED, _GLOBAL}:
                description = self._description(stored)
                if kind in _EXTENDED:
                    described |= _records(description)
                elif kind != _GLOBAL:
                    described["path" if kind == _LONG_NAME else "linkpath"] = _text(description)
            else:
                yield self._entry(header, described)
                described = {}
            self._skip()
            header = self._block()

    def read(self, size: int, /) -> bytes:
        """Return some of the current entry's content, empty at its end."""
        if not self._left:
            return b""
        chunk = self._source.read(min(size, self._left))
        if not chunk:
            raise TarTruncated("the content of an entry is cut short")
        self._left -= len(chunk)
        return chunk

    def _entry(self, header: bytes, described: dict[str, str]) -> Entry:
        stored = int(described["size"]) if "size" in described else _number(header[124:136])
        kind = _KINDS.get(header[156:157], UNKNOWN)
        name = described.get("GNU.sparse.name") or described.get("path") or _name(header)
        if kind == FILE and name.endswith("/"):
            kind = DIRECTORY  # as tar wrote one before it had a letter for it
        if kind not in {FILE, UNKNOWN}:
            stored = 0  # there is nothing after such a header, whatever it says
        size = stored
        if header[156:157] == _SPARSE:
            size = _number(header[483:495])
            self._skip_map(more=header[482])
        for key in ("GNU.sparse.realsize", "GNU.sparse.size"):
            size = int(described.get(key, size))
        if stored < 0 or size < 0:
            raise TarError("an entry has a negative size")
        self._left, self._padding = stored, -stored % BLOCK
        return Entry(
            name, kind, max(size, stored), stored, described.get("linkpath") or _text(header[157:257])
        )

    def _skip_map(self, *, more: int) -> None:
        while more:
            more = self._block()[504]

    def _skip(self) -> None:
        while self._left:
            self.read(_CHUNK)
        if self._padding:
            self._exactly(self._padding)
            self._padding = 0

    def _description(self, size: int) -> bytes:
        if not 0 <= size <= _MOST_DESCRIPTION:
            raise TarError("an entry's name or description is longer than any")
        content = self._exactly(size)
        self._exactly(-size % BLOCK)
        return content

    def _block(self) -> bytes:
        return self._exactly(BLOCK)

    def _exactly(self, size: int) -> bytes:
        found = self._source.read(size)
        while len(found) < size:
            more = self._source.read(size - len(found))
            if not more:
                raise TarTruncated("it is cut short")
            found += more
        return found


def starts_one(block: bytes) -> bool:
    """Say whether a tar archive could begin with this block."""
    try:
        return len(block) == BLOCK and (block == _NOTHING or _check(block))
    except TarError:
        return False


def _check(header: bytes) -> bool:
    """Raise TarError where a header does not bear its own checksum."""
    told = _number(header[148:156])
    if told != sum(header) - sum(header[148:156]) + 8 * ord(" "):
        raise TarError("a header's checksum is wrong")
    return True


def _number(field: bytes) -> int:
    if field[0] & 0x80:  # binary, as GNU tar writes what is too large for octal digits
        return int.from_bytes(field, "big", signed=False) - (1 << (8 * len(field) - 1))
    try:
        return int(field.strip(b" \0") or b"0", 8)
    except ValueError as error:
        raise TarError("a header's number is none") from error


def _name(header: bytes) -> str:
    prefix = _text(header[345:500]) if header[257:263] == b"ustar\0" else ""
    return f"{prefix}/{_text(header[:100])}" if prefix else _text(header[:100])


def _text(field: bytes) -> str:
    return field.partition(b"\0")[0].decode("utf-8", "surrogateescape")


def _records(description: bytes) -> dict[str, str]:
    """Return an extended header's records: each is its own length, a key and a value."""
    found, at = {}, 0
    try:
        while at < len(description):
            length = int(description[at : description.index(b" ", at)])
            record = description[at : at + length]
            key, _, value = record.partition(b" ")[2].rstrip(b"\n").partition(b"=")
            found[_text(key)] = value.decode("utf-8", "surrogateescape")
            if length <= 0:
                raise TarError("an extended header's record has no length")
            at += length
    except ValueError as error:
        raise TarError("an extended header is none") from error
    return found
