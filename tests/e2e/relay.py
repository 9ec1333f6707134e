# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""Ports of one network namespace's loopback, answered by those of another: nothing else passes."""

import asyncio
import contextlib
import socket
import threading
from collections.abc import Iterable

from pyroute2 import netns


class Relay:
    """Listens in the namespace of process `pid`, connects in ours; a socket stays where it was made."""

    def __init__(self, *, pid: int, ports: Iterable[int]) -> None:
        self.refused: set[int] = set()  # ports that shall not answer for a while
        self._sockets: list[socket.socket] = []
        maker = threading.Thread(target=self._listen, args=(pid, tuple(ports)))
        maker.start()
        maker.join()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._serve, name="relay", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End all connections."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    def _listen(self, pid: int, ports: tuple[int, ...]) -> None:
        netns.setns(f"/proc/{pid}/ns/net")  # of this thread, which then ends
        self._sockets = [socket.create_server(("127.0.0.1", port)) for port in ports]

    def _serve(self) -> None:
        asyncio.set_event_loop(self._loop)
        for listening in self._sockets:
            port = listening.getsockname()[1]
            self._loop.run_until_complete(
                asyncio.start_server(
                    lambda reader, writer, port=port: self._join(reader, writer, port), sock=listening
                )
            )
        self._loop.run_forever()
        tasks = asyncio.all_tasks(self._loop)
        for task in tasks:
            task.cancel()
        self._loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
        for listening in self._sockets:
            listening.close()
        self._loop.close()

    async def _join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, port: int) -> None:
        try:
            if port in self.refused:
                raise ConnectionRefusedError
            there, back = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            writer.transport.abort()
            return
        await asyncio.gather(_pass_on(reader, back), _pass_on(there, writer))


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    with contextlib.suppress(OSError):
        writer.close()
