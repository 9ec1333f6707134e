# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""What a server's process wrote."""

from novadocker.virt.docker import names, power
from novadocker.virt.docker.doors import Engine
from novadocker.virt.docker.errors import NotFound

# As much as the libvirt driver returns (MAX_CONSOLE_BYTES).
_LIMIT = 100 * 1024


def output(engine: Engine, uuid: str) -> bytes:
    """Return the last 100 KiB of a server's output, and a line on how its process ended.

    Bytes, because Nova's manager would encode text as Latin-1.
    """
    name = names.container(uuid=uuid, role=names.WORKLOAD)
    found = engine.inspect(name)
    if found is None:
        return b""
    try:
        written = engine.logs(name, limit=_LIMIT)
    except NotFound:
        return b""
    end = power.epitaph(found)
    if not end:
        return written
    if written and not written.endswith(b"\n"):
        written += b"\n"
    return written + f"[nova-docker] the process {end}\n".encode()
