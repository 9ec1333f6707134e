# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""What Nova is told of servers that change by themselves, or by others than Nova; on fakes."""

import threading

import pytest
from nova import exception
from nova.compute import power_state
from nova.virt import event as virt_event
from tests.fakes import nova_objects
from tests.fakes.nova_objects import CONTEXT
from tests.unit.virt.docker.conftest import CONF, Bench, spawn

from novadocker.virt.docker import driver, names, news
from novadocker.virt.docker.errors import EngineUnreachable

STOPPED = virt_event.EVENT_LIFECYCLE_STOPPED


def test_a_container_removed_behind_nova_s_back_is_a_server_that_stopped(
    bench: Bench, made: driver.DockerDriver
) -> None:
    server = bench.server()
    spawn(made, server, [])
    bench.engine.remove(f"nova-{server.uuid}")
    assert bench.hears(server.uuid, STOPPED)
    assert made.get_info(server).state == power_state.SHUTDOWN
    assert b"container is gone; a hard reboot makes it again" in made.get_console_output(CONTEXT, server)
    with pytest.raises(exception.InstancePowerOnFailure, match="hard reboot makes it again"):
        made.power_on(CONTEXT, server, [])
    made.resume_state_on_host_boot(CONTEXT, server, [], None)
    made.power_off(server)
    made.reboot(CONTEXT, server, [], "HARD")
    assert made.get_info(server).state == power_state.RUNNING


def test_a_container_we_remove_is_no_news(
    bench: Bench, made: driver.DockerDriver, caplog: pytest.LogCaptureFixture
) -> None:
    server, last = bench.server(), bench.server()
    spawn(made, server, [])
    made.destroy(CONTEXT, server, [])
    spawn(made, last, [])
    bench.engine.end(f"nova-{last.uuid}", code=0)
    assert bench.hears(last.uuid, STOPPED), "by then all earlier events were read"
    assert "behind Nova's back" not in caplog.text
    assert not made._watcher._removed_while_busy, "nothing is kept of a server that is gone"
    with pytest.raises(exception.InstanceNotFound):
        made.get_info(server)


def test_a_server_that_is_not_ours_is_not_found(bench: Bench, made: driver.DockerDriver) -> None:
    server = bench.server()
    with pytest.raises(exception.InstanceNotFound):
        made.get_info(server)
    with pytest.raises(exception.InstanceNotFound):
        made.power_on(CONTEXT, server, [])


def test_an_end_before_a_failing_operation_is_told(bench: Bench, made: driver.DockerDriver) -> None:
    """As a process that ends while Nova is about to pause it."""
    server = bench.server()
    spawn(made, server, [])
    with pytest.raises(exception.NovaException), made._watcher.operation(server.uuid, ends_running=False):
        bench.engine.end(f"nova-{server.uuid}", code=0)
        until_read(made, server.uuid)
        made.pause(server)
    assert bench.hears(server.uuid, STOPPED)


def until_read(made: driver.DockerDriver, uuid: str, *, removed: bool = False) -> None:
    watcher = made._watcher
    for _ in range(500):
        if uuid in (watcher._removed_while_busy if removed else watcher._ended_while_busy):
            return
        threading.Event().wait(0.01)
    raise AssertionError


def test_a_container_removed_during_an_operation_that_keeps_it_is_told(
    bench: Bench, made: driver.DockerDriver, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """As Nova stops what it was told of as ended, while Docker is removing its layer still."""
    server = bench.server()
    spawn(made, server, [])
    stop = made._containers.stop

    def removed_meanwhile(uuid: str, *, grace: int) -> None:
        stop(uuid, grace=grace)
        bench.engine.remove(f"nova-{uuid}")
        until_read(made, uuid, removed=True)

    monkeypatch.setattr(made._containers, "stop", removed_meanwhile)
    made.power_off(server)
    assert f"The container of server {server.uuid} was removed behind Nova's back" in caplog.text
    assert bench.hears(server.uuid, STOPPED)


def test_a_container_made_and_removed_while_the_daemon_s_events_were_cut_off_is_told(
    bench: Bench, made: driver.DockerDriver, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    server, events, back = bench.server(), bench.engine.events, threading.Event()

    def away_until_back(*, host: str) -> object:
        if not back.is_set():
            raise EngineUnreachable("away")
        return events(host=host)

    monkeypatch.setattr(bench.engine, "events", away_until_back)
    bench.engine.cut()
    spawn(made, server, [])
    bench.engine.remove(f"nova-{server.uuid}")
    back.set()
    assert bench.hears(server.uuid, STOPPED)
    assert f"The container of server {server.uuid} was removed behind Nova's back" in caplog.text


def test_what_ended_before_we_followed_is_told_after_nova_has_looked(bench: Bench) -> None:
    ended, lost, fine, known = (bench.server() for _ in range(4))
    before = bench.driver()
    for server in (ended, lost, fine, known):
        spawn(before, server, [])
    bench.engine.end(f"nova-{ended.uuid}", code=0)
    bench.engine.end(f"nova-{known.uuid}", code=0)
    bench.engine.remove(f"nova-{lost.uuid}")
    made = bench.driver()
    noted = {known.uuid}
    made._watcher._settled = noted.__contains__
    made.init_host("host-docker")
    assert not bench.told, "Nova resumes first what ran before"
    made.get_available_resource("host-docker")
    assert bench.hears(ended.uuid, STOPPED)
    assert bench.hears(lost.uuid, STOPPED)
    assert {uuid for uuid, _ in bench.told} == {ended.uuid, lost.uuid}
    made.cleanup_host("host-docker")


def test_a_process_killed_for_want_of_memory_is_told_while_the_server_runs_on(
    bench: Bench, made: driver.DockerDriver
) -> None:
    server = bench.server()
    spawn(made, server, [])
    bench.engine.starve(f"nova-{server.uuid}")
    for _ in range(500):
        if made._watcher.short_of_memory(server.uuid):
            break
        threading.Event().wait(0.01)
    assert b"[nova-docker] one of its processes was killed at " in made.get_console_output(CONTEXT, server)
    made.reboot(CONTEXT, server, [], "HARD")
    for _ in range(500):
        if not made._watcher.short_of_memory(server.uuid):
            break
        threading.Event().wait(0.01)
    assert made.get_console_output(CONTEXT, server) == b""


def test_a_soft_reboot_takes_the_image_s_time_to_stop(
    bench: Bench, made: driver.DockerDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = bench.server()
    spawn(made, server, [])
    graces = []
    monkeypatch.setattr(made._containers, "stop", lambda uuid, *, grace: graces.append(grace))
    made.reboot(CONTEXT, server, [], "SOFT")
    server.system_metadata = {"image_os_shutdown_timeout": "7"}
    made.reboot(CONTEXT, server, [], "SOFT")
    made.reboot(CONTEXT, server, [], "HARD")
    assert graces == [CONF.shutdown_timeout, 7, 0]


def test_a_workload_that_outlives_what_held_its_network_keeps_it(
    bench: Bench, made: driver.DockerDriver
) -> None:
    server, port = bench.server(), nova_objects.port()
    spawn(made, server, [port])
    ((_, inside),) = bench.netlink.namespaces.items()
    bench.lose_network(server)
    workload = bench.engine.inspect(f"nova-{server.uuid}").pid
    bench.netlink.namespaces[f"/proc/{workload}/ns/net"] = inside
    made.plug_vifs(server, [port])
    assert f"delete {port['devname']}" not in bench.netlink.steps


def test_many_ends_at_once_take_few_threads() -> None:
    told: list[str] = []
    all_told = threading.Event()
    threads: set[str] = set()

    def emit(uuid: str, change: str) -> None:
        threads.add(threading.current_thread().name)
        told.append(uuid)
        if len(set(told)) == 200:
            all_told.set()

    teller = news.News(emit=emit, settled=lambda uuid: True, stands=lambda uuid: True)
    teller.start()
    for number in range(200):
        teller.tell(str(number), news.STOPPED)
    assert all_told.wait(5)
    teller.stop()
    assert len(threads) <= 4


def test_what_could_not_be_told_is_told_again(caplog: pytest.LogCaptureFixture) -> None:
    attempts = []
    done = threading.Event()

    def emit(uuid: str, change: str) -> None:
        attempts.append(uuid)
        if len(attempts) == 1:
            raise exception.NovaException("no conductor")
        done.set()

    teller = news.News(emit=emit, settled=lambda uuid: len(attempts) > 1, stands=lambda uuid: True)
    teller.start()
    teller.tell("u", news.STOPPED)
    assert done.wait(5)
    teller.stop()
    assert "Could not tell Nova that server u has stopped" in caplog.text


def test_what_a_killed_service_left_half_plugged_is_taken_away_and_nobody_else_s(bench: Bench) -> None:
    server, port = bench.server(), nova_objects.port()
    spawn(bench.driver(), server, [port])

    def pair(number: int, owner: str) -> str:
        name = f"tap-{number}"
        alias = names.device_alias(host=owner, port_id=str(number)) if owner else ""
        bench.netlink.add_pair(name, f"ndp-{number}", mtu=1442, alias=alias)
        return name

    made, plugged = pair(1, "host-docker"), pair(2, "host-docker")
    foreign, theirs, marked = pair(3, ""), pair(4, "other-docker"), pair(5, "host-docker")
    for device in (plugged, marked):
        bench.switch.add(device, port_id="p", server="a server that is gone")
    bench.switch.mark(marked, owner="host-docker")
    bench.switch.add(foreign, port_id="q", server="a server of somebody else")
    begun = bench.driver()
    begun.init_host("host-docker")
    assert set(bench.netlink.devices) == {port["devname"], foreign, theirs}
    assert set(bench.switch.ports) == {port["devname"], foreign}
    begun.cleanup_host("host-docker")
    assert made not in bench.netlink.devices
