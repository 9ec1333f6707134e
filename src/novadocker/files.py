# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""Write files whole or not at all, with the mode they need from the first byte."""

import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any


def write(path: Path, content: str | bytes, *, mode: int = 0o644, uid: int = -1, gid: int = -1) -> bool:
    """Make `path` hold `content` with `mode` and owner; say whether anything changed.

    The new content is complete and durable before the old one goes, so that a crash leaves one of the two.
    """
    data = content.encode() if isinstance(content, str) else content
    if path.is_file() and path.read_bytes() == data:
        return _set_owner_and_mode(path, mode=mode, uid=uid, gid=gid)
    with replacing(path, mode=mode, uid=uid, gid=gid) as stream:
        stream.write(data)
    return True


@contextmanager
def replacing(path: Path, *, mode: int = 0o644, uid: int = -1, gid: int = -1) -> Iterator[IO[bytes]]:
    """A stream whose content is in `path` once the block has ended well, and nowhere otherwise."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        _set_owner_and_mode(temporary, mode=mode, uid=uid, gid=gid)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def read_table(path: Path) -> dict[str, Any]:
    """Read the JSON object in `path`; raises ValueError if there is anything else in it."""
    table = json.loads(path.read_text())
    if not isinstance(table, dict):
        raise ValueError(f"{path} holds no table")  # noqa: TRY004 - as json's own error, which is one too
    return table


def make_directory(path: Path, *, mode: int = 0o755, uid: int = -1, gid: int = -1) -> bool:
    """Make the folder `path` with `mode` and owner; say whether anything changed."""
    created = not path.is_dir()
    path.mkdir(parents=True, exist_ok=True)
    return _set_owner_and_mode(path, mode=mode, uid=uid, gid=gid) or created


def _set_owner_and_mode(path: Path, *, mode: int, uid: int, gid: int) -> bool:
    changed = False
    now = path.stat()
    if (uid != -1 and now.st_uid != uid) or (gid != -1 and now.st_gid != gid):
        os.chown(path, uid, gid)
        changed = True
    if now.st_mode & 0o7777 != mode or changed:
        path.chmod(mode)
        changed = True
    return changed
