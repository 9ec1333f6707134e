# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""Files somebody gives a new server, as the archive that is unpacked into its container (pure)."""

import io
import tarfile
import time
from collections.abc import Iterable
from pathlib import PurePosixPath

from novadocker.virt.docker.errors import SettingRejected
from novadocker.virt.docker.facts import File

# Other file systems are mounted there when the container starts: what is put below them is never seen.
_MOUNTED = ("/proc", "/sys", "/dev", "/config-drive")
# And these files are mounted one by one.
_NOVAS = frozenset({"/etc/hosts", "/etc/resolv.conf", "/etc/hostname"})


def archive(files: Iterable[tuple[str, bytes]]) -> bytes:
    """Return an archive of files given as (path, content), which become root's, with mode 0644.

    It names no directories: an entry for one would replace a link of the image's that leads to one.

    :raises: SettingRejected for a path no file can have.
    """
    return packed((_judged(path), File(content=content, mode=0o644, uid=0, gid=0)) for path, content in files)


def packed(files: Iterable[tuple[str, File]]) -> bytes:
    """Return an archive of files by their absolute paths."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.GNU_FORMAT) as tar:
        for path, file in files:
            entry = tarfile.TarInfo(path.lstrip("/"))
            entry.size, entry.mode, entry.uid, entry.gid = len(file.content), file.mode, file.uid, file.gid
            entry.mtime = int(time.time())
            tar.addfile(entry, io.BytesIO(file.content))
    return out.getvalue()


def _judged(path: str) -> str:
    # Nova asks for no leading slash; the article's time knew files without one.
    clean = "/" + "/".join(part for part in path.split("/") if part not in {"", "."})
    if ".." in PurePosixPath(path).parts or "\0" in path or clean == "/" or path.endswith("/"):
        raise SettingRejected(f"No file can be put in as {path[:80]!r}.", hint="Give the path of a file.")
    if clean in _NOVAS:
        raise SettingRejected(f"{clean} cannot be put in: it comes from the server's ports and its name.")
    if any(clean == place or clean.startswith(f"{place}/") for place in _MOUNTED):
        raise SettingRejected(f"{clean[:80]} cannot be put in: another file system is mounted there.")
    return clean
