# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""Ask a service whether it is ready. A probe answers with what is missing, or None."""

import http.client
import socket
import sys
from pathlib import Path
from urllib.parse import urlsplit

import amqp

from novadocker import run
from novadocker.host.services.model import Command, Consumed, Http, Listens, Probe, Running, Socket, Tcp

_PATIENCE = 5.0


def missing(probe: Probe) -> str | None:
    """What keeps the probed service from being ready; None if nothing does."""
    match probe:
        case Http(url=url):
            return _http(url)
        case Socket(path=path):
            return _connect(socket.AF_UNIX, str(path))
        case Tcp(port=port):
            return _connect(socket.AF_INET, ("127.0.0.1", port))
        case Listens(port=port):
            return None if _is_listened_on(port) else f"nobody listens on 127.0.0.1:{port}"
        case Command(words=words, says=says):
            try:
                done = run.run(words, check=False, seconds=_PATIENCE)
            except run.CommandFailed as error:
                return str(error)
            good = done.code == 0 and says in ("", done.out.strip())
            return None if good else f"`{' '.join(words)}` says: {(done.err or done.out).strip()[-300:]}"
        case Consumed():
            return _consumed(probe)
        case Running():
            return None


def _http(url: str) -> str | None:
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=_PATIENCE)
    try:
        connection.request("GET", parts.path or "/")
        status = connection.getresponse().status
    except (OSError, http.client.HTTPException) as error:
        return f"{url}: {error}"
    finally:
        connection.close()
    return None if status < 500 else f"{url} answers with status {status}"


def _consumed(probe: Consumed) -> str | None:
    try:
        with amqp.Connection(
            host=f"127.0.0.1:{probe.port}",
            userid=probe.user,
            password=probe.password,
            connect_timeout=_PATIENCE,
            read_timeout=_PATIENCE,
        ) as broker:
            consumers = broker.channel().queue_declare(probe.queue, passive=True).consumer_count
    except amqp.NotFound:
        consumers = 0
    except (OSError, amqp.AMQPError) as error:
        return f"the broker: {error}"
    return None if consumers else f"nobody takes messages from the queue {probe.queue}"


def _is_listened_on(port: int) -> bool:
    # proc_net(5): the local address in hexadecimal, in the machine's order of bytes; 0A is LISTEN.
    place = f"{int.from_bytes(socket.inet_aton('127.0.0.1'), sys.byteorder):08X}:{port:04X}"
    lines = Path("/proc/net/tcp").read_text().splitlines()[1:]
    return any(line.split()[1] == place and line.split()[3] == "0A" for line in lines)


def _connect(family: int, address: str | tuple[str, int]) -> str | None:
    with socket.socket(family, socket.SOCK_STREAM) as client:
        client.settimeout(_PATIENCE)
        try:
            client.connect(address)
        except OSError as error:
            return f"{address}: {error.strerror or error}"
    return None
