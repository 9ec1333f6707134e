# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""Listen in a program's place until somebody connects: `on_demand.py HOST PORT PROGRAM ARGUMENT…`.

A websocket proxy of Nova's loads all of Nova, and does nothing until a user opens a console. So the port is
listened on by next to nothing; who connects waits for the seconds that the program takes to start, and finds
it there from then on. It is the same process: its supervisor sees no difference.
"""

import os
import runpy
import select
import socket
import sys

# Which open file the program listens on, told to what this process becomes.
_INHERITED = "NOVA_DOCKER_LISTENS_ON"


def main() -> None:
    """Wait for the first connection, or be the program that has it."""
    if _INHERITED in os.environ:
        _be_the_program(socket.socket(fileno=int(os.environ.pop(_INHERITED))), sys.argv[3:])
    host, port = sys.argv[1], int(sys.argv[2])
    listening = socket.create_server((host, port), backlog=100)
    select.select([listening], [], [])
    listening.set_inheritable(True)
    os.environ[_INHERITED] = str(listening.fileno())
    os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])


def _be_the_program(listening: socket.socket, words: list[str]) -> None:
    from websockify import websockifyserver

    theirs = websockifyserver.WebSockifyServer.socket

    def opened(
        host: str, port: int | None = None, connect: bool = False, *rest: object, **more: object
    ) -> object:
        # The same function opens the connections to the consoles.
        return theirs(host, port, connect, *rest, **more) if connect else listening

    websockifyserver.WebSockifyServer.socket = staticmethod(opened)
    sys.argv = words
    runpy.run_path(words[0], run_name="__main__")
    sys.exit()


if __name__ == "__main__":
    main()
