# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""Shells inside servers for Nova's serial console: one TCP port for all, and a ticket for each.

nova-serialproxy checks the user's token, connects to the port and asks for a path, as of an HTTP proxy
(nova/console/websocketproxy.py). Whoever else can reach the port has no path: nothing is behind it without.
"""

import selectors
import socket
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from oslo_log import log as logging

from novadocker.errors import NovaDockerError
from novadocker.virt.docker.doors import Engine, Terminal
from novadocker.virt.docker.errors import Busy, NotFound
from novadocker.virt.docker.power import Container
from novadocker.virt.docker.tickets import Tickets

LOG = logging.getLogger(__name__)

# Connections at a time, of all servers and of one: each is a thread.
_MOST = 64
_MOST_OF_ONE = 8
_HANDSHAKE_SECONDS = 5.0
_HANDSHAKE_BYTES = 1024
# Seconds for which a peer may take nothing before it counts as gone.
_STUCK = 60.0

# The last word marks the shells that are ours. A size, because a serial line has none to ask for.
MARK = "nova-docker-console"
_SHELL = (
    "/bin/sh",
    "-c",
    "stty rows 24 cols 80 2>/dev/null; command -v bash >/dev/null && exec bash; exec /bin/sh",
    MARK,
)
_NO_SHELL = b"OCI runtime exec failed"


class Terminals:
    """The listener and its sessions.

    :param find: looks at a server's container; None when it is not of this host.
    """

    def __init__(
        self,
        *,
        engine: Engine,
        find: Callable[[str], Container | None],
        tickets: Tickets,
        address: str,
        port: int,
    ) -> None:
        self._engine = engine
        self._find = find
        self._tickets = tickets
        self._address = (address, port)
        self._listener: socket.socket | None = None
        self._lock = threading.Lock()
        self._open: dict[socket.socket, threading.Thread] = {}
        self._shells: Counter[str] = Counter()

    @property
    def listening(self) -> bool:
        """Whether there is a port to connect to."""
        return self._listener is not None

    def start(self) -> None:
        """Begin to listen; raises NovaDockerError where the port is taken."""
        family = socket.AF_INET6 if ":" in self._address[0] else socket.AF_INET
        try:
            self._listener = socket.create_server(self._address, family=family)
        except OSError as error:
            raise NovaDockerError(
                f"Consoles cannot listen on {self._address[0]} port {self._address[1]}.",
                facts=error.strerror or str(error),
                hint="[docker] console_port chooses another port.",
            ) from error
        threading.Thread(
            target=self._accept, args=(self._listener,), name="docker-consoles", daemon=True
        ).start()

    def stop(self) -> None:
        """Hang up all sessions, and listen no more."""
        listener, self._listener = self._listener, None
        if listener is None:
            return
        with suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        with self._lock:
            sessions = dict(self._open)
        for client in sessions:
            with suppress(OSError):
                client.shutdown(socket.SHUT_RDWR)
        for thread in sessions.values():
            thread.join(5)

    def path(self, uuid: str) -> str:
        """Return the path that opens a shell in a server, for a while."""
        return self._tickets.issue(uuid)

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError as error:
                if self._listener is not listener:
                    return
                LOG.warning("A console's connection failed: %s", error)
                continue
            thread = threading.Thread(target=self._serve, args=(client,), name="docker-console", daemon=True)
            with self._lock:
                room = len(self._open) < _MOST
                if room:
                    self._open[client] = thread
            if room:
                thread.start()
            else:
                _refuse(client, "503 Too many consoles")
                client.close()

    def _serve(self, client: socket.socket) -> None:
        try:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            path, early = _asked(client)
            uuid = self._tickets.admits(path)
            if uuid is None:
                LOG.warning("A connection to the console port without a valid path was refused")
                _refuse(client, "403 Forbidden")
                return
            with self._place(uuid) as free:
                if free:
                    self._session(client, uuid, early)
                else:
                    _refuse(client, "503 Too many consoles of this server")
        except OSError as error:
            LOG.info("A console's connection ended: %s", error)
        except Exception:
            LOG.exception("A console failed")
        finally:
            client.close()
            with self._lock:
                self._open.pop(client, None)

    @contextmanager
    def _place(self, uuid: str) -> Iterator[bool]:
        with self._lock:
            free = self._shells[uuid] < _MOST_OF_ONE
            self._shells[uuid] += free
        try:
            yield free
        finally:
            with self._lock:
                self._shells[uuid] -= free
                self._shells += Counter()  # forgets who has none

    def _session(self, client: socket.socket, uuid: str, early: bytes) -> None:
        try:
            found = self._find(uuid)
            if found is None or found.status != "running":
                _refuse(client, "409 The server does not run")
                return
            shell = self._engine.shell(found.id, command=_SHELL)
        except (NotFound, Busy):  # stopped or removed since
            _refuse(client, "409 The server does not run")
            return
        except NovaDockerError as error:
            LOG.warning("No console of server %s: %s", uuid, error)
            _refuse(client, "502 Docker does not answer")
            return
        LOG.info("A console of server %s is open", uuid)
        try:
            client.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
            client.settimeout(_STUCK)
            if early:
                shell.write(early)
            _carry(client, shell)
        finally:
            shell.hang_up()
            LOG.info("A console of server %s is closed", uuid)


def _asked(client: socket.socket) -> tuple[str, bytes]:
    """Return the path a client asks for and what it sent after it; an empty path for anything else."""
    client.settimeout(_HANDSHAKE_SECONDS)
    head = b""
    while b"\r\n\r\n" not in head:
        more = client.recv(_HANDSHAKE_BYTES)
        head += more
        if not more or len(head) > _HANDSHAKE_BYTES:
            return "", b""
    head, _, early = head.partition(b"\r\n\r\n")
    words = head.split(b"\r\n")[0].decode("ascii", "replace").split(" ")
    return (words[1] if len(words) == 3 and words[0] == "CONNECT" else ""), early


def _refuse(client: socket.socket, status: str) -> None:
    """Answer in full: the proxy would wait for the end of the head in a busy loop."""
    with suppress(OSError):
        client.sendall(f"HTTP/1.1 {status}\r\n\r\n".encode())


def _carry(client: socket.socket, shell: Terminal) -> None:
    """Pass on what either side says, until one has nothing more to say."""
    first = shell.read()
    if first.startswith(_NO_SHELL):
        client.sendall(b"[nova-docker] this server's image has no /bin/sh\r\n")
        return
    with selectors.DefaultSelector() as waiting:
        waiting.register(client, selectors.EVENT_READ)
        waiting.register(shell.fileno(), selectors.EVENT_READ)
        said = first
        while said:
            client.sendall(said)
            said = b""
            while not said:
                ready = {key.fd for key, _ in waiting.select()}
                if client.fileno() in ready:
                    typed = client.recv(65536)
                    if not typed:
                        return
                    shell.write(typed)
                if shell.fileno() in ready:
                    said = shell.read()
                    if not said:
                        return
