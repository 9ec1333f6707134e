# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""Read a docker-save or OCI archive somebody uploaded, and write the one we let the daemon load.

It is read twice, forward, in constant memory, and nothing is unpacked to disk: once to judge it, since what
an archive is comes at its end, and once to pass it on. What reaches the daemon is what was judged, byte for
byte, and no more: the layers unpacked, and a configuration with one tag, ours. The owner's tags would move
tags of other tenants.
"""

import hashlib
import json
import posixpath
import tarfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from novadocker.virt.docker import layers, packing, tarball
from novadocker.virt.docker.errors import ImageRejected
from novadocker.virt.docker.layers import Layer
from novadocker.virt.docker.tarball import BLOCK, Source, Tarball

_MOST_ENTRIES = 20_000
_MOST_JSON = 8 << 20
_MOST_JSONS = 32 << 20
# An archive for several processors holds the layers of them all.
_MOST_IMAGES = 8
# Names, configurations and padding, beside the layers.
OVERHEAD = 64 << 20
_CHUNK = 1 << 20

# An image's own words that stay out: volumes would take a server's data off its root disk, where its size
# counts and a snapshot finds it; nobody here asks for health, and each look would be work of the daemon's.
_LEFT_OUT = frozenset({"Volumes", "Healthcheck"})
_OUR_LABELS = "nova.docker."


@dataclass(frozen=True, kw_only=True)
class Inspected:
    """What an archive holds: one image's configuration and its layers, by their names in the archive."""

    path: Path
    config: dict[str, Any]
    layers: tuple[str, ...]
    sizes: Mapping[str, int]  # bytes of each layer unpacked, as a tar archive


@dataclass
class _Found:
    """What a first look at an archive gives, by name in it."""

    layers: dict[str, Layer] = field(default_factory=dict)
    texts: dict[str, bytes] = field(default_factory=dict)
    links: dict[str, str] = field(default_factory=dict)

    def file(self, name: str) -> str:
        """Return the name of the file a name leads to: older Dockers link a layer that occurs twice."""
        for _ in range(3):
            name = self.links.get(name, name)
        return name

    def text(self, name: str) -> Any:
        """Return what a JSON file of the archive says."""
        content = self.texts.get(self.file(name))
        if content is None:
            raise ImageRejected(f"Its archive is incomplete: {name} is not in it, or is no text.")
        return json.loads(content)


def inspect(path: Path, *, architecture: str, disk_limit: int) -> Inspected:
    """Look into an archive and judge it; raises ImageRejected with one clear sentence.

    :param architecture: what an image must be built for, as images spell it (amd64).
    :param disk_limit: bytes the layers may take unpacked.
    """
    try:
        with _opened(path) as source:
            found = _look(source, disk_limit=disk_limit)
        return _chosen(found, path=path, architecture=architecture, disk_limit=disk_limit)
    except tarball.TarTruncated as error:
        raise ImageRejected("Its archive is cut short: upload it again.") from error
    except (tarball.TarError, *packing.DAMAGED) as error:
        raise ImageRejected("It is not a container image: upload what `docker save` writes.") from error
    except (ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
        raise ImageRejected("Its archive's own description of the image cannot be read.") from error


def rewritten(inspected: Inspected, *, tag: str) -> Iterator[bytes]:
    """Return the archive for the daemon, in chunks, tagged only with `tag`."""
    names = {name: f"{number}.tar" for number, name in enumerate(dict.fromkeys(inspected.layers))}
    with _opened(inspected.path) as source:
        outer, unwritten = Tarball(source), set(names)
        for entry in outer:
            name = _clean(entry.name)
            if entry.kind != tarball.FILE or name not in unwritten:
                continue
            unwritten.remove(name)
            size = inspected.sizes[name]
            yield _header(names[name], size)
            unpacked = packing.unpacked(packing.Peeked(outer, BLOCK))
            while chunk := unpacked.read(_CHUNK):
                size -= len(chunk)
                yield chunk
            yield bytes(size + -inspected.sizes[name] % BLOCK)
    config = _config_to_load(inspected)
    config_name = f"{hashlib.sha256(config).hexdigest()}.json"
    manifest = [
        {"Config": config_name, "RepoTags": [tag], "Layers": [names[layer] for layer in inspected.layers]}
    ]
    yield _file(config_name, config)
    yield _file("manifest.json", json.dumps(manifest).encode())
    yield bytes(2 * BLOCK)


@contextmanager
def _opened(path: Path) -> Iterator[Source]:
    with path.open("rb", buffering=_CHUNK) as file:
        yield packing.unpacked(packing.Peeked(file, BLOCK))


def _look(source: Source, *, disk_limit: int) -> _Found:
    found = _Found()
    metered = layers.Metered(source, most=_MOST_IMAGES * disk_limit + OVERHEAD)
    outer = Tarball(metered)
    unpacked = layers.Meter(most=_MOST_IMAGES * disk_limit + OVERHEAD)
    texts = layers.Meter(most=_MOST_JSONS)
    try:
        for number, entry in enumerate(outer):
            name = _clean(entry.name)
            if number >= _MOST_ENTRIES:
                raise ImageRejected(f"Its archive has more than {_MOST_ENTRIES} entries.")
            if entry.kind in {tarball.SYMLINK, tarball.HARDLINK}:
                folder = posixpath.dirname(name) if entry.kind == tarball.SYMLINK else ""
                found.links[name] = _clean(posixpath.normpath(posixpath.join(folder, entry.link)))
            elif entry.kind == tarball.FILE:
                content = packing.Peeked(outer, BLOCK)
                if content.head.lstrip()[:1] in {b"{", b"["} and entry.size <= _MOST_JSON:
                    texts.add(entry.size)
                    found.texts[name] = layers.whole(content)
                elif (inner := packing.unpacked(content)) is not content or _is_tar(content):
                    found.layers[name] = layer = layers.walk(inner, most=disk_limit)
                    unpacked.add(layer.read)
            elif entry.kind != tarball.DIRECTORY:
                raise ImageRejected(f"Its archive holds something no image has: {name}.")
        # To the very end, where a packed archive has its checksum.
        layers.drain(metered)
    except layers.TooMuch as error:
        raise too_large(disk_limit) from error
    return found


def _is_tar(content: packing.Peeked) -> bool:
    return tarball.starts_one(content.head)


def _chosen(found: _Found, *, path: Path, architecture: str, disk_limit: int) -> Inspected:
    if "manifest.json" in found.texts:
        config_name, names = _from_docker(found.text("manifest.json"))
    elif "index.json" in found.texts:
        config_name, names = _from_oci(found, architecture=architecture)
    else:
        raise ImageRejected(
            "It is a tar archive, but not a container image: upload what `docker save` writes."
        )
    config = found.text(config_name)
    _judge(config, architecture=architecture)
    names = tuple(found.file(name) for name in names)
    for number, name in enumerate(names, start=1):
        if name not in found.layers:
            raise ImageRejected(
                f"Its archive is incomplete: layer {number}, {name}, is not in it, or is no tar archive."
            )
        if fault := found.layers[name].fault:
            raise ImageRejected(f"{fault} (layer {number}, {name}).")
    if len(config["rootfs"]["diff_ids"]) != len(names):
        raise ImageRejected("Its archive's description of the image does not fit its layers.")
    if sum(found.layers[name].size for name in names) > disk_limit:
        raise too_large(disk_limit)
    sizes = {name: found.layers[name].read for name in names}
    return Inspected(path=path, config=config, layers=names, sizes=sizes)


def too_large(disk_limit: int) -> ImageRejected:
    """Return the error of an image that takes more than `disk_limit` bytes."""
    return ImageRejected(
        f"Unpacked it takes more than the {disk_limit >> 20} MiB it may have here.",
        hint="Choose a flavor with a larger root disk.",
    )


def _clean(name: str) -> str:
    parts = [part for part in name.split("/") if part not in {"", "."}]
    if ".." in parts or name.startswith("/"):
        raise ImageRejected(f"Its archive names a path outside of itself: {name[:100]}.")
    return "/".join(parts)


def _from_docker(manifest: Any) -> tuple[str, tuple[str, ...]]:
    if len(manifest) != 1:
        raise ImageRejected(f"Its archive holds {len(manifest)} images: save one by itself.")
    return _clean(manifest[0]["Config"]), tuple(_clean(layer) for layer in manifest[0]["Layers"])


def _from_oci(found: _Found, *, architecture: str) -> tuple[str, tuple[str, ...]]:
    manifests = found.text("index.json")["manifests"]
    # An index may point to another index, one manifest per processor.
    for _ in range(3):
        fitting = [
            one
            for one in manifests
            if one.get("platform", {}).get("architecture", architecture) == architecture
        ]
        if len(fitting) != 1:
            raise ImageRejected(
                f"Its archive holds {len(fitting)} images for {architecture}: save one by itself."
            )
        document = found.text(_blob(fitting[0]["digest"]))
        if "config" in document:
            return _blob(document["config"]["digest"]), tuple(
                _blob(one["digest"]) for one in document["layers"]
            )
        manifests = document["manifests"]
    raise ImageRejected("Its archive's index leads to no image.")


def _blob(digest: str) -> str:
    algorithm, _, value = digest.partition(":")
    return _clean(f"blobs/{algorithm}/{value}")


def _judge(config: Any, *, architecture: str) -> None:
    if config.get("os", "linux") != "linux":
        raise ImageRejected(f"It is made for {config['os']}, this host runs linux.")
    built_for = config.get("architecture") or architecture
    if built_for != architecture:
        raise ImageRejected(f"It is built for {built_for}, this host is {architecture}.")


def _config_to_load(inspected: Inspected) -> bytes:
    settings = {
        key: value for key, value in (inspected.config.get("config") or {}).items() if key not in _LEFT_OUT
    }
    if settings.get("Labels"):
        settings["Labels"] = {
            key: value for key, value in settings["Labels"].items() if not key.startswith(_OUR_LABELS)
        }
    return json.dumps({**inspected.config, "config": settings}, sort_keys=True).encode()


def _header(name: str, size: int) -> bytes:
    entry = tarfile.TarInfo(name)
    entry.size = size
    return entry.tobuf(format=tarfile.GNU_FORMAT)


def _file(name: str, content: bytes) -> bytes:
    return _header(name, len(content)) + content + bytes(-len(content) % BLOCK)
