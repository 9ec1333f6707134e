# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""Whether servers answer, seen from where their neighbours are: from within a server on the same network."""

import ctypes
import os
import socket
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

from novadocker.errors import NovaDockerError

PORT = 80
# Shorter than the kernel's second before it repeats an unanswered SYN: a try is one packet.
_TRY_SECONDS = 0.3
_PAUSE = 0.05


@dataclass(frozen=True)
class Answer:
    """When a server answered, and whether it did the first time it was asked.

    :ivar asked: when it was asked first, in seconds of the epoch.
    :ivar at: seconds of the epoch; None if it never did.
    """

    asked: float
    at: float | None
    at_once: bool = False


class Lookout:
    """Connects to servers from the network namespace of a process.

    :param pid: a process in that namespace.
    :param address: finds the address of a server.
    """

    def __init__(self, *, pid: int, address: Callable[[str], str], threads: int) -> None:
        self._address = address
        self._answers: dict[str, Future[Answer]] = {}
        self._cost = 0.0
        self._lock = threading.Lock()
        namespace = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        try:
            # Each thread has a network namespace of its own to stand in.
            self._pool = ThreadPoolExecutor(
                max_workers=threads, thread_name_prefix="lookout", initializer=_enter, initargs=(namespace,)
            )
            # All threads are begun while the namespace is open here.
            gate = threading.Barrier(threads + 1)
            for _ in range(threads):
                self._pool.submit(gate.wait, 30)
            gate.wait(30)
        finally:
            os.close(namespace)

    def ask(self, server: str, *, seconds: float) -> None:
        """Begin to ask a server for an answer, until it gives one."""
        self._answers[server] = self._pool.submit(self._asked, server, seconds)

    def answer(self, server: str) -> Answer:
        """Return what came of it."""
        return self._answers.pop(server).result()

    @property
    def cost(self) -> float:
        """Processor seconds that asking took so far."""
        return self._cost

    def close(self) -> None:
        """End the threads."""
        self._pool.shutdown()

    def _asked(self, server: str, seconds: float) -> Answer:
        began = time.thread_time()
        deadline = time.monotonic() + seconds
        first = True
        try:
            address = self._address(server)
            asked = time.time()
            while time.monotonic() < deadline:
                if _connects(address):
                    return Answer(asked=asked, at=time.time(), at_once=first)
                first = False
                time.sleep(_PAUSE)
            return Answer(asked=asked, at=None)
        finally:
            with self._lock:
                self._cost += time.thread_time() - began


def _connects(address: str) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as client:
        client.settimeout(_TRY_SECONDS)
        try:
            client.connect((address, PORT))
        except OSError:
            return False
    return True


def _enter(namespace: int) -> None:
    # os.setns is of Python 3.12. It moves the calling thread alone (setns(2)).
    if ctypes.CDLL(None, use_errno=True).setns(namespace, 0x40000000) != 0:
        raise NovaDockerError("A server's network cannot be entered.", facts=os.strerror(ctypes.get_errno()))
