# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""A server's disk written down as an image (pure): what `docker load` takes, as chunks of bytes.

An image that leaves the host has one layer: the disk as it is. Layer upon layer, a server that is shelved
often would come to Docker's limit of 125 of them, and what it has deleted would still be counted against its
flavor's disk.
"""

import hashlib
import io
import json
import tarfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from novadocker.virt.docker.errors import DiskChanged

_BLOCK = 512
_LAYER = "layer.tar"


@dataclass(frozen=True, kw_only=True)
class Content:
    """A layer's bytes: how many, and their sha256 digest in hex."""

    size: int
    digest: str


@dataclass(frozen=True, kw_only=True)
class Origin:
    """The image a disk began as: the settings of its process, and what it is built for."""

    settings: Mapping[str, Any]
    architecture: str
    system: str = "linux"


def measured(chunks: Iterable[bytes]) -> Content:
    """Return the size and digest of a layer, keeping nothing of it."""
    size, digest = 0, hashlib.sha256()
    for chunk in chunks:
        size += len(chunk)
        digest.update(chunk)
    return Content(size=size, digest=digest.hexdigest())


def one_layer(chunks: Iterable[bytes], *, content: Content, origin: Origin) -> Iterator[bytes]:
    """Return the archive of an image with one layer, which was measured before.

    :raises: DiskChanged, at the end, when the chunks are not the ones that were measured.
    """
    name, text, manifest = _described(origin, diffs=[f"sha256:{content.digest}"], layers=[_LAYER], tag=None)
    yield _head(_LAYER, content.size)
    digest, left = hashlib.sha256(), content.size
    for chunk in chunks:
        left -= len(chunk)
        digest.update(chunk)
        if left < 0:
            break
        yield chunk
    if left or digest.hexdigest() != content.digest:
        raise DiskChanged("The disk changed while it was being read.")
    yield bytes(-content.size % _BLOCK)
    yield _file(name, text) + _file("manifest.json", manifest) + bytes(2 * _BLOCK)


def size(content: Content, *, origin: Origin) -> int:
    """Return the size of the archive that `one_layer` writes."""
    name, text, manifest = _described(origin, diffs=[f"sha256:{content.digest}"], layers=[_LAYER], tag=None)
    ends = len(_file(name, text)) + len(_file("manifest.json", manifest)) + 2 * _BLOCK
    return _BLOCK + content.size + -content.size % _BLOCK + ends


def of_known_layers(diffs: Sequence[str], *, origin: Origin, tag: str) -> bytes:
    """Return the archive of an image all of whose layers the daemon has: none is in it.

    :param diffs: the layers' digests, the lowest first.
    """
    layers = [f"{diff.rpartition(':')[2]}.tar" for diff in diffs]
    name, text, manifest = _described(origin, diffs=list(diffs), layers=layers, tag=tag)
    return _file(name, text) + _file("manifest.json", manifest) + bytes(2 * _BLOCK)


class Reader:
    """Chunks as a file to read from, for a client that uploads files."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._rest = io.BytesIO()

    def read(self, amount: int) -> bytes:
        """Return up to `amount` bytes; none at the end."""
        while not (found := self._rest.read(amount)):
            chunk = next(self._chunks, None)
            if chunk is None:
                return b""
            self._rest = io.BytesIO(chunk)
        return found


def _described(
    origin: Origin, *, diffs: list[str], layers: list[str], tag: str | None
) -> tuple[str, bytes, bytes]:
    config = {
        "architecture": origin.architecture,
        "os": origin.system,
        "config": dict(origin.settings),
        "rootfs": {"type": "layers", "diff_ids": diffs},
        "history": [{"created_by": "nova-docker"} for _ in diffs],
    }
    text = json.dumps(config, sort_keys=True).encode()
    name = f"{hashlib.sha256(text).hexdigest()}.json"
    manifest = [{"Config": name, "RepoTags": [tag] if tag else None, "Layers": layers}]
    return name, text, json.dumps(manifest).encode()


def _file(name: str, content: bytes) -> bytes:
    return _head(name, len(content)) + content + bytes(-len(content) % _BLOCK)


def _head(name: str, length: int) -> bytes:
    entry = tarfile.TarInfo(name)
    entry.size = length
    return entry.tobuf(format=tarfile.GNU_FORMAT)
