# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""Interactive consoles as Nova asks for them, and the tickets that open them."""

from collections.abc import Iterator

import pytest
from nova import exception
from tests.fakes.nova_objects import CONTEXT
from tests.unit.virt.docker.conftest import CONF, Bench, spawn

from novadocker.errors import NovaDockerError
from novadocker.virt.docker import terminals
from novadocker.virt.docker.terminals import Terminals
from novadocker.virt.docker.tickets import Tickets

UUID = "0c1ae2b4-1111-2222-3333-444455556666"


@pytest.fixture
def listening(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    CONF.set_override("enabled", True, "serial_console")
    monkeypatch.setattr(Terminals, "start", lambda self: setattr(self, "_listener", object()))
    monkeypatch.setattr(Terminals, "stop", lambda self: None)
    yield
    CONF.clear_override("enabled", "serial_console")


def test_a_ticket_is_for_one_server_and_a_short_time() -> None:
    now = [1000.0]
    tickets = Tickets(key=b"k" * 32, valid=600, clock=lambda: now[0])
    path = tickets.issue(UUID)
    assert tickets.admits(path) == UUID
    assert tickets.issue(UUID) != path
    assert len(path) <= 255, "Nova's column for it"
    other = path.replace(UUID, UUID.replace("0c", "0d"))
    later = path.replace("/1600/", "/9600/")
    assert path not in (other, later)
    end = "0" if path[-1] != "0" else "1"
    for forged in (other, later, path[:-1] + end, "", "/", path + "/", path.upper()):
        assert tickets.admits(forged) is None
    assert Tickets(key=b"j" * 32, valid=600, clock=lambda: 1000.0).admits(path) is None
    now[0] = 1601
    assert tickets.admits(path) is None


def test_a_server_that_runs_has_a_console(bench: Bench, listening: None) -> None:
    server = bench.server()
    made = bench.driver()
    made.init_host("host-docker")
    with pytest.raises(exception.InstanceNotFound):
        made.get_serial_console(CONTEXT, server)
    spawn(made, server, [])
    console = made.get_serial_console(CONTEXT, server)
    assert (console.host, console.port) == ("127.0.0.1", 6085)
    assert made._terminals._tickets.admits(console.internal_access_path) == server.uuid
    for change in (made.pause, made.power_off):
        change(server)
        with pytest.raises(exception.InstanceNotReady):
            made.get_serial_console(CONTEXT, server)
    made.cleanup_host("host-docker")


def test_what_a_killed_service_left_is_ended(bench: Bench, listening: None) -> None:
    server = bench.server()
    spawn(bench.driver(), server, [])
    ours = bench.engine.shell(f"nova-{server.uuid}", command=("sh", terminals.MARK))
    foreign = bench.engine.shell(f"nova-{server.uuid}", command=("sh",))
    made = bench.driver()
    made.init_host("host-docker")
    assert (ours.open, foreign.open) == (False, True)
    made.cleanup_host("host-docker")


def test_servers_run_where_consoles_cannot(
    bench: Bench, listening: None, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def taken(self: Terminals) -> None:
        raise NovaDockerError("Consoles cannot listen.")

    monkeypatch.setattr(Terminals, "start", taken)
    made = bench.driver()
    made.init_host("host-docker")
    assert "Servers have no interactive consoles: Consoles cannot listen." in caplog.text
    server = bench.server()
    spawn(made, server, [])
    with pytest.raises(exception.ConsoleTypeUnavailable):
        made.get_serial_console(CONTEXT, server)
    made.cleanup_host("host-docker")


def test_without_serial_consoles_nothing_listens(bench: Bench) -> None:
    made = bench.driver()
    made.init_host("host-docker")
    assert not made._terminals.listening
    made.cleanup_host("host-docker")
