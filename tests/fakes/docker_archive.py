# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""Docker-save archives made by hand: no registry is asked, no daemon needed."""

import hashlib
import io
import json
import tarfile
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

BUSYBOX = Path("/bin/busybox")


def tar(files: Mapping[str, bytes | str | None], *, modes: dict[str, int] | None = None) -> bytes:
    """Return a tar of files; a text makes a symbolic link to it, nothing a directory."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            if content is None:
                entry.type, entry.mode = tarfile.DIRTYPE, 0o755
                archive.addfile(entry)
                continue
            if isinstance(content, str):
                entry.type, entry.linkname = tarfile.SYMTYPE, content
                archive.addfile(entry)
                continue
            entry.size, entry.mode = len(content), (modes or {}).get(name, 0o644)
            archive.addfile(entry, io.BytesIO(content))
    return out.getvalue()


def config(layers: list[bytes], *, command: list[str] | None = None, **more: Any) -> dict[str, Any]:
    """Return an image's configuration."""
    settings = {"Cmd": command, "Env": ["PATH=/bin"], **more.pop("config", {})}
    return {
        "architecture": "amd64",
        "os": "linux",
        "config": settings,
        "rootfs": {
            "type": "layers",
            "diff_ids": [f"sha256:{hashlib.sha256(one).hexdigest()}" for one in layers],
        },
        **more,
    }


def save(
    layers: list[bytes], *, configuration: dict[str, Any], tags: list[str] | None = None, images: int = 1
) -> bytes:
    """Return what `docker save` would write."""
    text = json.dumps(configuration).encode()
    name = f"{hashlib.sha256(text).hexdigest()}.json"
    names = [f"layer{number}/layer.tar" for number, _ in enumerate(layers)]
    one = {"Config": name, "RepoTags": tags, "Layers": names}
    return tar(
        {
            **dict(zip(names, layers, strict=True)),
            name: text,
            "repositories": b"{}",
            "manifest.json": json.dumps([one] * images).encode(),
        }
    )


def with_directories(files: dict[str, bytes | str]) -> dict[str, bytes | str | None]:
    """Return the files with their directories: on btrfs, Docker makes unnamed ones with mode 0600."""
    directories = {
        str(parent) for name in files for parent in PurePosixPath(name).parents if str(parent) != "."
    }
    return {**dict.fromkeys(sorted(directories)), **files}


def busybox_layer() -> bytes:
    """Return a root file system of Debian's static busybox and a few of its names."""
    applets = (
        "sh",
        "httpd",
        "sleep",
        "cat",
        "echo",
        "false",
        "id",
        "dd",
        "ping",
        "nc",
        "wget",
        "ip",
        "ulimit",
    )
    files: dict[str, bytes | str] = {"bin/busybox": BUSYBOX.read_bytes()}
    files |= {f"bin/{name}": "busybox" for name in applets}
    files["www/index.html"] = b"Congratulations\n"
    return tar(with_directories(files), modes={"bin/busybox": 0o755})


def busybox(command: list[str], *, tags: list[str] | None = None, **more: Any) -> bytes:
    """Return an archive of a busybox image that runs `command`."""
    layer = busybox_layer()
    return save([layer], configuration=config([layer], command=command, **more), tags=tags)
