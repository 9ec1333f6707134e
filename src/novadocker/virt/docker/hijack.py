# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""A connection to the Docker daemon that has become the terminal of a process in a container.

The SDK reads the head of the daemon's answer through a buffer and hands out the socket below it, so a
prompt that comes at once may be lost; hence the few lines of HTTP here.
"""

import contextlib
import os
import select
import signal
import socket
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

# Seconds in which a process ends when its terminal is hung up, before it is killed.
_GRACE = 2.0
_HEAD = 16 * 1024


class Terminal:
    """A process's terminal.

    :param inspect: what the daemon knows of the process (exec inspect).
    """

    def __init__(
        self, link: socket.socket, *, early: bytes, inspect: Callable[[], Mapping[str, Any]]
    ) -> None:
        self._link = link
        self._early = early
        self._begun = bool(early)
        self._inspect = inspect

    def fileno(self) -> int:
        """Return what to wait on; `read` may have something even so, before the first wait."""
        return self._link.fileno()

    def read(self) -> bytes:
        """Return what the process wrote next; empty when it has ended."""
        if self._early:
            early, self._early = self._early, b""
            return early
        data = self._link.recv(65536)
        self._begun = True
        return data

    def write(self, data: bytes) -> None:
        """Type something."""
        self._link.sendall(data)

    def hang_up(self) -> None:
        """End the process as a closed terminal does, or by force; one that has ended is fine.

        The daemon leaves it running otherwise, with a terminal nobody can reach.
        """
        try:
            if not self._begun:  # only with its first output is it sure to have a process
                self._link.settimeout(_GRACE)
                with contextlib.suppress(OSError):
                    self._link.recv(65536)
            end(self._inspect)
        finally:
            self._link.close()


def end(inspect: Callable[[], Mapping[str, Any]]) -> None:
    """End a process with a terminal: SIGHUP, which a shell passes on to its jobs, and then SIGKILL."""
    pid = inspect().get("Pid") or 0
    if not pid:
        return
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        # Asked again now that the number cannot be given to another process unnoticed.
        if not inspect().get("Running"):
            return
        for number in (signal.SIGHUP, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(handle, number)
            if select.select([handle], [], [], _GRACE)[0]:
                return
    finally:
        os.close(handle)


def connect(url: str, path: str, *, body: bytes, timeout: float) -> tuple[int, bytes, socket.socket]:
    """POST to the daemon with an upgrade; return status, what came after the head, and the raw connection."""
    where = urlsplit(url)
    if where.scheme == "unix":
        link = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    else:
        link = socket.create_connection((where.hostname or "", where.port or 2375), timeout)
    try:
        link.settimeout(timeout)
        if where.scheme == "unix":
            link.connect(where.path)
        link.sendall(
            f"POST {path} HTTP/1.1\r\nHost: docker\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n".encode()
            + body
        )
        status, rest = _answer(link)
        return status, rest, link
    except BaseException:
        link.close()
        raise


def _answer(link: socket.socket) -> tuple[int, bytes]:
    head = b""
    while b"\r\n\r\n" not in head:
        more = link.recv(4096)
        if not more or len(head) > _HEAD:
            raise ConnectionError("The daemon closed the connection.")
        head += more
    head, _, rest = head.partition(b"\r\n\r\n")
    return int(head.split(b" ", 2)[1]), rest
