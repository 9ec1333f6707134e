# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""What a server's process wrote, and what became of it."""

from datetime import datetime

from novadocker.virt.docker import names, power
from novadocker.virt.docker.doors import Engine
from novadocker.virt.docker.errors import NotFound

# As much as the libvirt driver returns (MAX_CONSOLE_BYTES).
_LIMIT = 100 * 1024


def output(engine: Engine, uuid: str, *, short_of_memory: datetime | None, lost: bool) -> bytes:
    """Return the last 100 KiB of a server's output, and a line on what became of its process.

    Bytes, because Nova's manager would encode text as Latin-1.

    :param short_of_memory: when one of its processes was last killed for want of memory while it ran on.
    :param lost: its container was removed behind Nova's back.
    """
    name = names.container(uuid=uuid, role=names.WORKLOAD)
    found = engine.inspect(name)
    if found is None:
        return _note(b"", "the server's container is gone; a hard reboot makes it again") if lost else b""
    try:
        written = engine.logs(name, limit=_LIMIT)
    except NotFound:
        return b""
    end = power.epitaph(found)
    if end:
        return _note(written, f"the process {end}")
    if short_of_memory is not None:
        when = short_of_memory.strftime("%H:%M:%S UTC")
        return _note(
            written, f"one of its processes was killed at {when}: it used more memory than its flavor has"
        )
    return written


def _note(written: bytes, words: str) -> bytes:
    if written and not written.endswith(b"\n"):
        written += b"\n"
    return written + f"[nova-docker] {words}\n".encode()
