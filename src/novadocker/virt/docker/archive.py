# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""Read a docker-save or OCI archive somebody uploaded, and write the one we let the daemon load.

Nothing is unpacked here. What reaches the daemon carries one tag, ours; the owner's tags would move tags of
other tenants. It declares no volumes either: a server's data belongs on its root disk, where its size
counts and a snapshot finds it.
"""

import hashlib
import json
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from novadocker.virt.docker.errors import ImageRejected

_MOST_ENTRIES = 20_000
_MOST_JSON = 8 << 20
_CHUNK = 1 << 20
_BLOCK = 512

# What the new archive brings itself, and what would let the daemon find other names for the image.
_REPLACED = frozenset({"manifest.json", "repositories", "index.json", "oci-layout"})


@dataclass(frozen=True, kw_only=True)
class Inspected:
    """What an archive holds: one image's configuration and layers, by their names in the archive."""

    path: Path
    config_name: str
    config: dict[str, Any]
    layers: tuple[str, ...]


def inspect(path: Path, *, architecture: str, disk_limit: int) -> Inspected:
    """Look into an archive and judge it; raises ImageRejected with one clear sentence.

    :param architecture: what an image must be built for, as images spell it (amd64).
    :param disk_limit: bytes the layers may take unpacked.
    """
    try:
        with tarfile.open(path, mode="r:*") as tar:
            return _inspect(tar, path=path, architecture=architecture, disk_limit=disk_limit)
    except (tarfile.TarError, EOFError, OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ImageRejected("It is not a container image: upload what `docker save` writes.") from error


def rewritten(inspected: Inspected, *, tag: str) -> Iterator[bytes]:
    """Return the archive for the daemon, in chunks, tagged only with `tag`."""
    config, config_name = _config_to_load(inspected)
    manifest = [{"Config": config_name, "RepoTags": [tag], "Layers": list(inspected.layers)}]
    with tarfile.open(inspected.path, mode="r:*") as tar:
        for entry in tar:
            name = _clean(entry.name)
            if name in _REPLACED or name in {inspected.config_name, config_name}:
                continue
            entry.name = name + ("/" if entry.isdir() else "")
            entry.pax_headers = {}
            yield entry.tobuf(format=tarfile.GNU_FORMAT)
            if entry.isreg():
                yield from _content(tar, entry)
    yield _file(config_name, config)
    yield _file("manifest.json", json.dumps(manifest).encode())
    yield bytes(2 * _BLOCK)


def _inspect(tar: tarfile.TarFile, *, path: Path, architecture: str, disk_limit: int) -> Inspected:
    entries = _entries(tar)
    if "manifest.json" in entries:
        config_name, layers = _from_docker(_json(tar, entries, "manifest.json"))
    elif "index.json" in entries:
        config_name, layers = _from_oci(tar, entries, architecture=architecture)
    else:
        raise ImageRejected(
            "It is a tar archive, but not a container image: upload what `docker save` writes."
        )
    config = _json(tar, entries, config_name)
    _judge(config, architecture=architecture)
    missing = [layer for layer in layers if layer not in entries]
    if missing:
        raise ImageRejected(f"Its archive is incomplete: layer {missing[0]} is not in it.")
    size = sum(entry.size for entry in entries.values())
    if size > disk_limit:
        raise ImageRejected(
            f"It needs {size >> 20} MiB of disk, the flavor's root disk has {disk_limit >> 20} MiB.",
        )
    return Inspected(path=path, config_name=config_name, config=config, layers=layers)


def _entries(tar: tarfile.TarFile) -> dict[str, tarfile.TarInfo]:
    entries: dict[str, tarfile.TarInfo] = {}
    for entry in tar:
        name = _clean(entry.name)
        if len(entries) >= _MOST_ENTRIES:
            raise ImageRejected(f"Its archive has more than {_MOST_ENTRIES} entries.")
        # Symbolic links are real here: older Dockers write a layer that occurs twice as a link to the first.
        if not (entry.isreg() or entry.isdir() or entry.issym()):
            raise ImageRejected(f"Its archive holds something no image has: {name}.")
        entries[name] = entry
    return entries


def _clean(name: str) -> str:
    parts = [part for part in name.split("/") if part not in {"", "."}]
    if ".." in parts or name.startswith("/"):
        raise ImageRejected(f"Its archive names a path outside of itself: {name}.")
    return "/".join(parts)


def _json(tar: tarfile.TarFile, entries: dict[str, tarfile.TarInfo], name: str) -> Any:
    entry = entries[name]
    if not entry.isreg() or entry.size > _MOST_JSON:
        raise ImageRejected(f"Its archive's {name} is not a file of a sensible size.")
    stream = tar.extractfile(entry)
    if stream is None:
        raise KeyError(name)
    return json.loads(stream.read())


def _from_docker(manifest: Any) -> tuple[str, tuple[str, ...]]:
    if len(manifest) != 1:
        raise ImageRejected(f"Its archive holds {len(manifest)} images: save one by itself.")
    return _clean(manifest[0]["Config"]), tuple(_clean(layer) for layer in manifest[0]["Layers"])


def _from_oci(
    tar: tarfile.TarFile, entries: dict[str, tarfile.TarInfo], *, architecture: str
) -> tuple[str, tuple[str, ...]]:
    found = _json(tar, entries, "index.json")["manifests"]
    # An index may point to another index, one manifest per processor.
    for _ in range(3):
        fitting = [
            one for one in found if one.get("platform", {}).get("architecture", architecture) == architecture
        ]
        if len(fitting) != 1:
            raise ImageRejected(
                f"Its archive holds {len(fitting)} images for {architecture}: save one by itself."
            )
        document = _json(tar, entries, _blob(fitting[0]["digest"]))
        if "config" in document:
            return _blob(document["config"]["digest"]), tuple(
                _blob(one["digest"]) for one in document["layers"]
            )
        found = document["manifests"]
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


def _config_to_load(inspected: Inspected) -> tuple[bytes, str]:
    settings = {
        key: value for key, value in (inspected.config.get("config") or {}).items() if key != "Volumes"
    }
    content = json.dumps({**inspected.config, "config": settings}, sort_keys=True).encode()
    return content, f"{hashlib.sha256(content).hexdigest()}.json"


def _content(tar: tarfile.TarFile, entry: tarfile.TarInfo) -> Iterator[bytes]:
    stream = tar.extractfile(entry)
    while stream is not None and (chunk := stream.read(_CHUNK)):
        yield chunk
    yield bytes(-entry.size % _BLOCK)


def _file(name: str, content: bytes) -> bytes:
    entry = tarfile.TarInfo(name)
    entry.size = len(content)
    return entry.tobuf(format=tarfile.GNU_FORMAT) + content + bytes(-len(content) % _BLOCK)
