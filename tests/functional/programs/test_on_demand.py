# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""A program that is loaded when somebody connects to its port."""

import socket
import subprocess
import sys

import psutil
import pytest

from novadocker import poll
from novadocker.host import probes
from novadocker.host.services.model import Listens

# As websockify's server takes its socket.
PROGRAM = """
import sys
from websockify.websockifyserver import WebSockifyServer
listening = WebSockifyServer.socket("127.0.0.1", 1, False, False, tcp_keepalive=True)
while True:
    client, _ = listening.accept()
    client.sendall(" ".join(sys.argv[1:]).encode())
    client.close()
"""


@pytest.fixture
def waiting(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    assert probes.missing(Listens(port)) == f"nobody listens on 127.0.0.1:{port}"
    program = tmp_path / "nova-proxy"
    program.write_text(PROGRAM)
    on_demand = (sys.executable, "-m", "novadocker.programs.on_demand", "127.0.0.1", str(port))
    words = [*on_demand, program, "--told", "x"]
    process = subprocess.Popen(words)
    try:
        poll.until(lambda: probes.missing(Listens(port)), why="it listens", seconds=20)
        yield process, port
    finally:
        process.kill()
        process.wait()


def _says(port: int) -> str:
    with socket.create_connection(("127.0.0.1", port), timeout=30) as client:
        return client.makefile().read()


def test_who_looks_whether_it_listens_does_not_wake_it(waiting):
    process, port = waiting
    assert probes.missing(Listens(port)) is None
    assert psutil.Process(process.pid).memory_info().rss < 20 * 1024**2


def test_the_first_who_connects_has_the_program_and_so_has_the_next(waiting):
    process, port = waiting
    assert _says(port) == "--told x"
    assert _says(port) == "--told x"
    assert process.poll() is None
