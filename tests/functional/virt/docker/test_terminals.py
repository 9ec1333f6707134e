# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""Interactive consoles: who gets in, what is carried, how it ends. Real sockets, make-believe shells."""

import socket
import threading
import time
from collections.abc import Callable, Iterator

import pytest
from tests.fakes.engine import FakeEngine

from novadocker.errors import NovaDockerError
from novadocker.virt.docker import names, pause, spec, terminals
from novadocker.virt.docker.terminals import Terminals
from novadocker.virt.docker.tickets import Tickets

UUID = "0c1ae2b4-1111-2222-3333-444455556666"
OTHER = "0c1ae2b4-1111-2222-3333-444455557777"


def eventually(true: Callable[[], object]) -> bool:
    for _ in range(500):
        if true():
            return True
        threading.Event().wait(0.01)
    return False


class Client:
    """What nova-serialproxy is to the listener."""

    def __init__(self, port: int, path: str) -> None:
        self.link = socket.create_connection(("127.0.0.1", port), 5)
        self.link.settimeout(5)
        self.link.sendall(f"CONNECT {path} HTTP/1.1\r\n\r\n".encode())
        self.status = self.hears(b"\r\n\r\n").split(b"\r\n")[0].decode()

    def hears(self, words: bytes) -> bytes:
        said = b""
        while words not in said:
            more = self.link.recv(1)
            if not more:
                return said
            said += more
        return said


class Bench:
    def __init__(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self.port = probe.getsockname()[1]
        self.engine = FakeEngine()
        tag, content = pause.archive("amd64")
        self.engine.load([content])
        for uuid in (UUID, OTHER):
            self.engine.create(
                spec.ContainerSpec(
                    name=self.name(uuid), image=tag, network="none", memory=1 << 20, pids=10,
                    labels=names.labels(uuid=uuid, host="h", role=names.WORKLOAD, name=uuid),
                )
            )  # fmt: skip
            self.engine.start(self.name(uuid))
        self.terminals = self.another()
        self.terminals.start()

    def another(self) -> Terminals:
        tickets = Tickets(key=b"k" * 32, valid=600, clock=time.time)
        return Terminals(
            engine=self.engine, find=lambda uuid: self.engine.inspect(self.name(uuid)),
            tickets=tickets, address="127.0.0.1", port=self.port,
        )  # fmt: skip

    def name(self, uuid: str) -> str:
        return names.container(uuid=uuid, role=names.WORKLOAD)

    def console(self, uuid: str = UUID) -> Client:
        return Client(self.port, self.terminals.path(uuid))


@pytest.fixture
def bench() -> Iterator[Bench]:
    made = Bench()
    yield made
    made.terminals.stop()


def test_a_shell_in_a_server(bench: Bench) -> None:
    path = bench.terminals.path(UUID)
    client = Client(bench.port, path)
    assert client.status == "HTTP/1.1 200 OK"
    client.hears(b"$ ")
    client.link.sendall(b"gr\xfcn\x00\n")
    assert client.hears(b"\n") == b"gr\xfcn\x00\n"
    (shell,) = bench.engine.shells
    assert shell.container == bench.name(UUID)
    client.link.close()
    assert eventually(lambda: not shell.open), "the shell ends when its user leaves"
    again = Client(bench.port, path)
    again.hears(b"$ ")
    again.link.sendall(b"exit\n")
    again.hears(b"nothing")
    assert eventually(lambda: not bench.engine.shells[1].open)


def test_nobody_gets_in_without_a_ticket(bench: Bench) -> None:
    for path in ("/", f"/{UUID}", f"/{UUID}/99999999999/{'a' * 22}/{'0' * 64}"):
        assert Client(bench.port, path).status == "HTTP/1.1 403 Forbidden"
    with socket.create_connection(("127.0.0.1", bench.port)) as other:
        other.sendall(b"GET / HTTP/1.1\r\n\r\n")
        assert other.recv(100).startswith(b"HTTP/1.1 403")
    with socket.create_connection(("127.0.0.1", bench.port)) as endless:
        endless.sendall(b"x" * 1025)
        assert endless.recv(100).startswith(b"HTTP/1.1 403")
    assert bench.engine.shells == []


def test_who_says_nothing_is_not_waited_for(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(terminals, "_HANDSHAKE_SECONDS", 0.1)
    with socket.create_connection(("127.0.0.1", bench.port)) as silent:
        silent.settimeout(5)
        assert silent.recv(100) == b""


def test_a_server_that_does_not_run_is_refused(bench: Bench) -> None:
    bench.engine.pause(bench.name(UUID))
    assert bench.console().status == "HTTP/1.1 409 The server does not run"
    bench.engine.remove(bench.name(UUID))
    assert bench.console().status == "HTTP/1.1 409 The server does not run"


def test_a_server_that_stops_ends_its_console(bench: Bench) -> None:
    client = bench.console()
    client.hears(b"$ ")
    bench.engine.shells[0].write(b"exit")  # as the daemon ends the stream with the container
    assert client.hears(b"nothing").replace(b"exit", b"") == b""


def test_an_image_without_a_shell_says_so(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    shell = bench.engine.shell

    def none(container: str, *, command: tuple[str, ...]) -> object:
        made = shell(container, command=command)
        made.read()
        made.write(b'OCI runtime exec failed: "/bin/sh": no such file or directory\r\n')
        return made

    monkeypatch.setattr(bench.engine, "shell", none)
    assert bench.console().hears(b"\n") == b"[nova-docker] this server's image has no /bin/sh\r\n"


def test_consoles_are_limited(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(terminals, "_MOST_OF_ONE", 2)
    monkeypatch.setattr(terminals, "_MOST", 3)
    first, second = bench.console(), bench.console()
    assert bench.console().status == "HTTP/1.1 503 Too many consoles of this server"
    assert eventually(lambda: len(bench.terminals._open) == 2)
    third = bench.console(OTHER)
    assert third.status == "HTTP/1.1 200 OK"
    assert bench.console(OTHER).status == "HTTP/1.1 503 Too many consoles"
    first.link.close()
    assert eventually(lambda: len(bench.terminals._open) == 2)
    assert bench.console().status == "HTTP/1.1 200 OK"
    second.link.close()
    third.link.close()


def test_the_end_of_the_service_hangs_up(bench: Bench) -> None:
    client = bench.console()
    client.hears(b"$ ")
    bench.terminals.stop()
    assert client.hears(b"nothing") == b""
    assert not bench.engine.shells[0].open
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", bench.port))


def test_a_taken_port_is_said(bench: Bench) -> None:
    with pytest.raises(NovaDockerError, match="console_port chooses another port"):
        bench.another().start()
