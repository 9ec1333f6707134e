# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""What the archives of container images are, as far as their index tells; no layer is read."""

import json
import platform
import tarfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

_MOST_ENTRIES = 20_000
_MOST_JSON = 8 << 20
_PACKED = (b"\x1f\x8b", b"BZh", b"\xfd7zXZ", b"\x28\xb5\x2f\xfd")
# As images spell them.
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "ppc64le": "ppc64le", "s390x": "s390x"}


def architecture() -> str:
    """This machine's, as images spell it."""
    return _ARCHITECTURES.get(platform.machine(), platform.machine())


def with_archives(images: Iterable[Mapping[str, Any]], *, store: Path) -> list[dict[str, Any]]:
    """Add to each image what its file below `store` is; nothing where there is no such file."""
    return [
        {**image, "archive": archive(file) if (file := store / str(image["id"])).is_file() else None}
        for image in images
    ]


def archive(file: Path) -> dict[str, Any]:
    """What a file is: `docker` or `oci` with what its images say of themselves, `packed`, or `nothing`."""
    with file.open("rb") as stream:
        if stream.read(6).startswith(_PACKED):
            return {"kind": "packed", "images": []}
    try:
        with tarfile.open(file, "r:") as held:
            return _described(held)
    except (tarfile.TarError, ValueError, KeyError, TypeError, EOFError):
        return {"kind": "nothing", "images": []}


def _described(held: tarfile.TarFile) -> dict[str, Any]:
    members: dict[str, tarfile.TarInfo] = {}
    for entry in held:
        members[entry.name.removeprefix("./")] = entry
        if len(members) > _MOST_ENTRIES:
            break
    if "manifest.json" in members:
        names = [str(each["Config"]) for each in _json(held, members["manifest.json"])]
        return {"kind": "docker", "images": [_said(_json(held, members[name])) for name in names]}
    if "index.json" in members:
        return {"kind": "oci", "images": list(_of_index(held, members, _json(held, members["index.json"])))}
    return {"kind": "nothing", "images": []}


def _of_index(
    held: tarfile.TarFile, members: Mapping[str, tarfile.TarInfo], index: Any
) -> Iterable[dict[str, Any]]:
    for each in index["manifests"]:
        named = members.get("blobs/" + str(each["digest"]).replace(":", "/"))
        # An index may name images of other processors that were not put into the archive.
        if named is None:
            continue
        said = _json(held, named)
        if "manifests" in said:
            yield from _of_index(held, members, said)
        else:
            config = members["blobs/" + str(said["config"]["digest"]).replace(":", "/")]
            yield _said(_json(held, config))


def _said(config: Any) -> dict[str, Any]:
    run = config.get("config") or {}
    return {
        "architecture": config.get("architecture", ""),
        "os": config.get("os", ""),
        "command": bool(run.get("Cmd") or run.get("Entrypoint")),
    }


def _json(held: tarfile.TarFile, entry: tarfile.TarInfo) -> Any:
    stream = held.extractfile(entry)
    if stream is None or entry.size > _MOST_JSON:
        raise ValueError(f"{entry.name} is no text")
    return json.loads(stream.read())
