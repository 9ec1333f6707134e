# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""The sandbox's image: one file, one process, one system call (pure).

The program that holds a server's network namespace is written out here, byte by byte, so that no image has
to come from a registry, no compiler or static binary has to be on the host, and the same image comes out
everywhere. It sleeps in pause(2), or in ppoll(2) where the processor's Linux has no pause, for ever: a page
or two of memory.
"""

import hashlib
import io
import json
import struct
import tarfile

from novadocker.errors import NovaDockerError
from novadocker.virt.docker import names

_BASE = 0x400000
_HEADERS = 64 + 56

# ELF machine number and code. The loop is for signals with a handler, which return from the call.
_PROGRAMS = {
    # mov eax, 34 (pause); syscall; jmp to the start
    "amd64": (62, bytes.fromhex("b822000000 0f05 ebf7")),
    # x0..x4 = 0; x8 = 73 (ppoll); svc 0; b to the start
    "arm64": (
        183,
        struct.pack(
            "<8I",
            0xD2800000, 0xD2800001, 0xD2800002, 0xD2800003, 0xD2800004, 0xD2800928, 0xD4000001, 0x17FFFFF9,
        ),
    ),
}  # fmt: skip


def program(architecture: str) -> bytes:
    """Return the static ELF executable; raises NovaDockerError for a processor we have no code for."""
    if architecture not in _PROGRAMS:
        raise NovaDockerError(
            f"There is no sandbox program for processor architecture {architecture}.",
            facts=f"known: {', '.join(sorted(_PROGRAMS))}",
        )
    machine, code = _PROGRAMS[architecture]
    size = _HEADERS + len(code)
    ident = b"\x7fELF\x02\x01\x01" + bytes(9)
    header = ident + struct.pack(
        "<HHIQQQIHHHHHH", 2, machine, 1, _BASE + _HEADERS, 64, 0, 0, 64, 56, 1, 0, 0, 0
    )
    # One readable and executable segment: the whole file.
    segment = struct.pack("<IIQQQQQQ", 1, 5, 0, _BASE, _BASE, size, size, 0x10000)
    return header + segment + code


def archive(architecture: str) -> tuple[str, bytes]:
    """Return the image's tag and its docker-save archive: the same bytes wherever it is made."""
    layer = _tar({"pause": (program(architecture), 0o755)})
    config = json.dumps(
        {
            "architecture": architecture,
            "os": "linux",
            "created": "1970-01-01T00:00:00Z",
            "config": {"Cmd": ["/pause"]},
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(layer).hexdigest()}"]},
            "history": [{"created": "1970-01-01T00:00:00Z", "created_by": "nova-docker"}],
        },
        sort_keys=True,
    ).encode()
    digest = hashlib.sha256(config).hexdigest()
    tag = f"{names.SANDBOX_REPOSITORY}:{digest[:12]}"
    manifest = [{"Config": f"{digest}.json", "RepoTags": [tag], "Layers": ["layer.tar"]}]
    files = {f"{digest}.json": config, "layer.tar": layer, "manifest.json": json.dumps(manifest).encode()}
    return tag, _tar({name: (content, 0o644) for name, content in files.items()})


def _tar(files: dict[str, tuple[bytes, int]]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name, (content, mode) in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), mode
            tar.addfile(entry, io.BytesIO(content))
    return out.getvalue()
