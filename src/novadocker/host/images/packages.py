# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""Debian packages as a source of files: fetched into a cache folder and read, never installed."""

import io
import tarfile
from collections.abc import Collection
from pathlib import Path

from novadocker.errors import NovaDockerError
from novadocker.run import run

_AR_MAGIC = b"!<arch>\n"
_AR_HEADER = 60  # name 16, mtime 12, owner 6, group 6, mode 8, size 10, end 2 (deb(5), ar(5))
# apt drops to the user _apt, which cannot write a folder of root's; what it fetches is verified either way.
_APT = ("apt-get", "-qq", "-o", "APT::Sandbox::User=root")
_HINT = "Run `apt-get update`; the machine needs a Debian mirror for this once."


def fetch(names: Collection[str], *, cache: Path) -> dict[str, Path]:
    """Each named package as a .deb file in `cache`; what is not there yet is downloaded by apt, in one go.

    :raises NovaDockerError: if apt does not know a package or cannot fetch it.
    """
    cache.mkdir(parents=True, exist_ok=True)
    missing = sorted(name for name in names if not _cached(name, cache=cache))
    if missing:
        run([*_APT, "download", *missing], directory=cache, seconds=600, hint=_HINT)
    return {name: _cached(name, cache=cache)[0] for name in names}


def kernel_package(meta: str = "linux-image-cloud-amd64") -> str:
    """The package that holds the kernel itself, which Debian's `meta` package only depends on."""
    said = run(["apt-cache", "show", "--no-all-versions", meta], hint=_HINT).out
    for line in said.splitlines():
        if line.startswith("Depends:"):
            return line.removeprefix("Depends:").split(",")[0].split()[0]
    raise NovaDockerError(f"The package {meta} names no kernel.", facts=said[:500], hint=_HINT)


def read(deb: Path, wanted: Collection[str]) -> dict[str, bytes]:
    """The content of the files `wanted` (absolute paths) of one package; reading stops at the last of them.

    :raises NovaDockerError: if the file is no package or lacks one of them.
    """
    missing = set(wanted)
    found: dict[str, bytes] = {}
    with deb.open("rb") as stream:
        data = _data_member(stream, deb)
        with tarfile.open(fileobj=data, mode="r|*") as tree:
            for entry in tree:
                path = "/" + entry.name.removeprefix("./")
                if path in missing and entry.isfile() and (content := tree.extractfile(entry)):
                    found[path] = content.read()
                    missing.discard(path)
                if not missing:
                    return found
    raise NovaDockerError(
        f"The package {deb.name} lacks {', '.join(sorted(missing))}.",
        hint=f"Delete {deb} to have it downloaded again.",
    )


def _cached(name: str, *, cache: Path) -> list[Path]:
    return sorted(cache.glob(f"{name}_*.deb"))


def _data_member(stream: io.BufferedReader, deb: Path) -> io.BytesIO:
    """The data.tar.* of a package, which is an `ar` archive of three members."""
    if stream.read(len(_AR_MAGIC)) == _AR_MAGIC:
        while len(header := stream.read(_AR_HEADER)) == _AR_HEADER:
            size = int(header[48:58])
            if header.startswith(b"data.tar"):
                return io.BytesIO(stream.read(size))
            stream.seek(size + size % 2, io.SEEK_CUR)
    raise NovaDockerError(f"{deb} is not a Debian package.", hint="Delete it to have it downloaded again.")
