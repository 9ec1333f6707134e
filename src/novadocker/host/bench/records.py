# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""What services write from a moment on, whether or not their logs are rotated meanwhile."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from novadocker.host import journal
from novadocker.host.journal import Entry


@dataclass(frozen=True)
class Bookmark:
    """How far a log had been written: which file it was, and how long."""

    inode: int
    length: int


def mark(logs: Mapping[str, Path]) -> dict[str, Bookmark]:
    """Note how far each log has been written; one that is not there yet has no bookmark."""
    found = {}
    for service, file in logs.items():
        if file.is_file():
            status = file.stat()
            found[service] = Bookmark(status.st_ino, status.st_size)
    return found


def since(marks: Mapping[str, Bookmark], logs: Mapping[str, Path]) -> Iterator[Entry]:
    """What was written after the bookmarks, in the order of time."""
    return journal.joined(
        [journal.entries(_lines(file, marks.get(service)), service=service) for service, file in logs.items()]
    )


def _lines(file: Path, bookmark: Bookmark | None) -> Iterable[str]:
    parts = journal.parts(file)
    if bookmark:
        held = [index for index, part in enumerate(parts) if part.stat().st_ino == bookmark.inode]
        parts = parts[held[0] :] if held else parts
    for part in parts:
        with part.open(errors="replace") as stream:
            if bookmark and part.stat().st_ino == bookmark.inode:
                stream.seek(bookmark.length)
            yield from stream
