# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""File trees as values, and the two archives made of them: tar for a container, cpio for a kernel. Pure."""

import io
import stat
import tarfile
from collections.abc import Iterable
from dataclasses import dataclass

# Every file carries this time (the day of the article retold), so that the same input gives the same bytes.
TIME = 1421452800


@dataclass(frozen=True, kw_only=True)
class Node:
    """One entry of a file tree, owned by root."""

    path: str  # without a leading slash
    mode: int  # type and permissions, as in stat(2)
    content: bytes = b""  # a symbolic link's target, too
    device: tuple[int, int] = (0, 0)


def file(path: str, content: bytes | str, *, executable: bool = False) -> Node:
    """A plain file."""
    data = content.encode() if isinstance(content, str) else content
    return Node(path=path, mode=stat.S_IFREG | (0o755 if executable else 0o644), content=data)


def link(path: str, target: str) -> Node:
    """A symbolic link."""
    return Node(path=path, mode=stat.S_IFLNK | 0o777, content=target.encode())


def folder(path: str, *, mode: int = 0o755) -> Node:
    """A folder."""
    return Node(path=path, mode=stat.S_IFDIR | mode)


def character_device(path: str, *, major: int, minor: int) -> Node:
    """A character device, which an archive can carry without anybody being root."""
    return Node(path=path, mode=stat.S_IFCHR | 0o600, device=(major, minor))


def tree(nodes: Iterable[Node]) -> list[Node]:
    """The nodes by path, with the folders they stand in added before them."""
    by_path = {node.path: node for node in nodes}
    for path in list(by_path):
        parts = path.split("/")[:-1]
        for depth in range(1, len(parts) + 1):
            parent = "/".join(parts[:depth])
            by_path.setdefault(parent, folder(parent))
    return [by_path[path] for path in sorted(by_path)]


def tar(nodes: Iterable[Node]) -> bytes:
    """A tar archive of the whole tree."""
    into = io.BytesIO()
    with tarfile.open(fileobj=into, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for node in tree(nodes):
            entry = tarfile.TarInfo(node.path)
            entry.mode = stat.S_IMODE(node.mode)
            entry.mtime = TIME
            if stat.S_ISDIR(node.mode):
                entry.type = tarfile.DIRTYPE
            elif stat.S_ISLNK(node.mode):
                entry.type = tarfile.SYMTYPE
                entry.linkname = node.content.decode()
            elif stat.S_ISCHR(node.mode):
                entry.type = tarfile.CHRTYPE
                entry.devmajor, entry.devminor = node.device
            else:
                entry.size = len(node.content)
            archive.addfile(entry, io.BytesIO(node.content) if entry.isreg() else None)
    return into.getvalue()


def cpio(nodes: Iterable[Node]) -> bytes:
    """A cpio archive in the form the kernel unpacks at boot (newc, initramfs-buffer-format.rst)."""
    into = io.BytesIO()
    entries = [*tree(nodes), Node(path="TRAILER!!!", mode=0)]
    for number, node in enumerate(entries, start=1):
        name = node.path.encode() + b"\0"
        fields = (
            number, node.mode, 0, 0, 1, TIME if node.mode else 0, len(node.content),
            0, 0, node.device[0], node.device[1], len(name), 0,
        )  # fmt: skip
        into.write(b"070701" + b"".join(b"%08X" % value for value in fields) + name)
        _pad(into)
        into.write(node.content)
        _pad(into)
    return into.getvalue()


def _pad(stream: io.BytesIO) -> None:
    stream.write(b"\0" * (-stream.tell() % 4))
