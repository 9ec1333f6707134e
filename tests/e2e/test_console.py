# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""A server's console: what it printed, and a shell in it, by the clients a user has."""

import contextlib
import os
import signal
import socket
from collections.abc import Iterator

import psutil
import pytest
import websocket
from openstack import exceptions
from tests.e2e.cloud import CONTAINER, MACHINE, until
from tests.e2e.containers import docker

LOG_LIMIT = 100 * 1024


@pytest.fixture(scope="module")
def server(servers):
    servers[CONTAINER].page()
    return servers[CONTAINER]


class Console:
    """A terminal in a browser, without the browser."""

    def __init__(self, url: str) -> None:
        self.link = websocket.create_connection(url, timeout=20, subprotocols=["binary"])
        self.said = b""

    def hears(self, words: bytes) -> bytes:
        """What was said up to these words."""
        while words not in self.said:
            data = self.link.recv()
            if not data:
                raise EOFError(self.said)
            self.said += data if isinstance(data, bytes) else data.encode()
        before, _, self.said = self.said.partition(words)
        return before + words

    def types(self, words: bytes) -> None:
        """Type a line at the prompt: a shell drops what comes before it has one."""
        self.hears(b"$ ")
        self.link.send_binary(words)


@contextlib.contextmanager
def opened(url: str) -> Iterator[Console]:
    console = Console(url)
    try:
        yield console
    finally:
        console.link.close()


def url_of(cloud, server, *, member: bool = False) -> str:
    return cloud.openstack("console", "url", "show", "--serial", server.id, member=member)["url"]


def shells(cloud, server) -> list[str]:
    """The shells of consoles that run in a server, as its host sees them."""
    # All that is not a child of the container's first process came in by exec.
    lines = [
        line.split()
        for line in docker(cloud, "top", f"nova-{server.id}", "-eo", "pid,ppid,tty,args").splitlines()[1:]
    ]
    return [" ".join(words[3:]) for words in lines if words[2].startswith("pts/")]


def test_a_shell_through_nova_s_proxy(cloud, server):
    """One of the server's own, for a member of the project, in both directions, until he leaves."""
    with opened(url_of(cloud, server, member=True)) as console:
        console.types(b"echo it is $((6*7)) on $(hostname)\n")
        console.hears(f"it is 42 on {server.name}".encode())
        console.types(b"test -t 0 && echo a terminal; stty size\n")
        console.hears(b"a terminal\r\n24 80")
        console.types("printf 'grün \\001\\377\\n' | od -An -tx1\n".encode())
        console.hears(b"67 72 c3 bc 6e 20 01 ff 0a")
        console.types(b"sleep 1000\n")
        until(lambda: "sleep 1000" in shells(cloud, server), seconds=10, why="it waits")
        console.link.send_binary(b"\x03")
        until(lambda: "sleep 1000" not in shells(cloud, server), seconds=10, why="it is interrupted")
        console.types(b"sleep 999 &\n")
        until(lambda: "sleep 999" in shells(cloud, server), seconds=10, why="its job runs")
    until(lambda: not shells(cloud, server), seconds=15, why="the shell and its jobs have ended")


def test_exit_ends_the_console(cloud, server):
    with opened(url_of(cloud, server)) as console:
        console.types(b"exit\n")
        with pytest.raises((EOFError, websocket.WebSocketConnectionClosedException)):
            console.hears(b"never said")


def test_one_port_serves_all_consoles_and_none_without_nova_s_token(cloud, images, server):
    url = url_of(cloud, server)
    with cloud.server("e2e-console", images[CONTAINER]) as another:
        assert cloud.settled(another).status == "ACTIVE"
        with opened(url) as first, opened(url_of(cloud, another)) as second:
            for console, name in ((first, server.name), (second, "e2e-console")):
                console.types(b"echo this is $(hostname)\n")
                console.hears(f"this is {name}".encode())
            compute = psutil.Process(cloud.pids()["nova-docker"])
            listening = [
                each.laddr for each in compute.net_connections() if each.status == psutil.CONN_LISTEN
            ]
            ((address, port),) = listening
            assert address == "127.0.0.1"
    # The token is what the proxy asks for, …
    wrong = url.replace("token=", "token=x") if "token=x" not in url else url + "x"
    with pytest.raises((websocket.WebSocketException, EOFError, OSError)), opened(wrong) as console:
        console.hears(b"$")
    with (
        pytest.raises((websocket.WebSocketException, EOFError, OSError)),
        opened(url.split("?")[0]) as console,
    ):
        console.hears(b"$")
    # … and the port behind it opens to nobody who only knows the server.
    for path in ("/", f"/{server.id}", f"/{server.id}/99999999999/{'a' * 22}/{'0' * 64}"):
        with socket.create_connection((address, port), 10) as link:
            link.sendall(f"CONNECT {path} HTTP/1.1\r\n\r\n".encode())
            assert link.recv(1000).startswith(b"HTTP/1.1 403")
    assert not shells(cloud, server)


def test_a_server_that_does_not_run_has_no_console(cloud, server):
    url = url_of(cloud, server)
    cloud.connection.compute.pause_server(server.id)
    cloud.becomes(server.id, "PAUSED")
    with pytest.raises(exceptions.ConflictException):
        cloud.connection.compute.create_console(server.id, "serial")
    with pytest.raises((websocket.WebSocketException, EOFError, OSError)), opened(url) as console:
        console.hears(b"$")
    cloud.connection.compute.unpause_server(server.id)
    cloud.becomes(server.id, "ACTIVE")
    with opened(url) as console:
        console.types(b"echo again\n")
        console.hears(b"again")


def test_a_vm_has_none_rather_than_an_open_port(cloud, servers):
    with pytest.raises(exceptions.BadRequestException, match="Unavailable console type serial"):
        cloud.connection.compute.create_console(servers[MACHINE].id, "serial")


def test_other_kinds_of_consoles_are_refused(cloud, server):
    for kind in ("novnc", "spice-html5"):
        with pytest.raises((exceptions.BadRequestException, exceptions.HttpException)) as refused:
            cloud.connection.compute.create_console(server.id, kind)
        assert refused.value.status_code in (400, 501)


def test_the_log_is_bounded_and_survives_odd_bytes(cloud, images):
    """A flood of every byte there is; what comes out is its end, and the API's answer is whole."""
    # What stands between two lines' ends for long is kept in parts, an empty one is lost: one that is not
    # ends the flood's last line.
    flood = "(dd if=/dev/urandom bs=1024 count=600; echo .; echo the last line) 2>/dev/null > /proc/1/fd/1"
    with cloud.server("e2e-flood", images[CONTAINER]) as asked:
        server = cloud.settled(asked)
        docker(cloud, "exec", f"nova-{server.id}", "sh", "-c", flood)
        until(
            lambda: cloud.console(server.id).rstrip().endswith("the last line"),
            seconds=20,
            why="the last line",
        )
        said = cloud.console(server.id)
        assert LOG_LIMIT // 2 < len(said) <= LOG_LIMIT
        tail = cloud.connection.compute.get_server_console_output(server.id, length=2)["output"]
        assert tail.splitlines() == ["the last line"], "Nova counts what follows the last newline as a line"


def test_a_killed_service_leaves_no_shell(own_cloud, server):
    cloud = own_cloud
    console = Console(url_of(cloud, server))
    console.types(b"echo open\n")
    console.hears(b"open")
    os.kill(cloud.pids()["nova-docker"], signal.SIGKILL)
    with pytest.raises((EOFError, websocket.WebSocketException, OSError)):
        console.hears(b"never said")
    until(lambda: not shells(cloud, server), seconds=60, why="the shell ended by the service that came anew")

    def answers() -> bool:
        # The client fails while the service is not back yet.
        with contextlib.suppress(AssertionError), opened(url_of(cloud, server)) as again:
            again.types(b"echo a new one\n")
            return bool(again.hears(b"a new one"))
        return False

    until(answers, seconds=60, why="a console of the service that came anew")
