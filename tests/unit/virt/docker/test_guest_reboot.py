# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""A reboot asked for from inside, and what only looks like one; freezing by its two names; on fakes."""

import threading

import pytest
from nova.compute import power_state, task_states, vm_states
from nova.virt import event as virt_event
from tests.fakes import nova_objects
from tests.fakes.nova_objects import CONTEXT
from tests.unit.virt.docker.conftest import Bench, spawn

from novadocker.virt.docker import driver

STOPPED = virt_event.EVENT_LIFECYCLE_STOPPED
MAY = {"docker:capabilities": "SYS_BOOT"}


def _server(bench: Bench, made: driver.DockerDriver, *, extra_specs: dict[str, str]) -> object:
    server = bench.server()
    server.flavor.extra_specs = extra_specs
    spawn(made, server, [])
    return server


def _starts(bench: Bench, server: object) -> threading.Event:
    """An event that is set when the server's container starts again."""
    started, real = threading.Event(), bench.engine.start

    def start(container: str) -> None:
        real(container)
        started.set()

    bench.engine.start = start
    return started


def test_a_reboot_from_inside_comes_back(bench: Bench, made: driver.DockerDriver) -> None:
    server = _server(bench, made, extra_specs=MAY)
    again = _starts(bench, server)
    bench.engine.end(f"nova-{server.uuid}", code=129)
    assert again.wait(5)
    assert made.get_info(server).state == power_state.RUNNING
    assert (server.uuid, STOPPED) not in bench.told


@pytest.mark.parametrize(
    ("extra_specs", "code", "after"),
    [(MAY, 130, 30), (MAY, 0, 30), (MAY, 129, 0), ({}, 129, 30)],
    ids=["a halt", "an end", "over and over", "no reboot but a hangup"],
)
def test_other_ends_are_ends(
    bench: Bench, made: driver.DockerDriver, extra_specs: dict[str, str], code: int, after: int
) -> None:
    server = _server(bench, made, extra_specs=extra_specs)
    bench.engine.end(f"nova-{server.uuid}", code=code, after=after)
    assert bench.hears(server.uuid, STOPPED)
    assert made.get_info(server).state == power_state.SHUTDOWN


def test_a_reboot_that_cannot_start_is_an_end(bench: Bench, made: driver.DockerDriver) -> None:
    server = _server(bench, made, extra_specs=MAY)
    bench.engine.start = lambda container: bench.engine._one("nova-nobody")
    bench.engine.end(f"nova-{server.uuid}", code=129)
    assert bench.hears(server.uuid, STOPPED)


def test_a_reboot_while_nobody_looked_comes_back(bench: Bench) -> None:
    first = bench.driver()
    server = _server(bench, first, extra_specs=MAY)
    bench.engine.end(f"nova-{server.uuid}", code=129)
    first._watcher.look_again([server.uuid])
    assert first.get_info(server).state == power_state.RUNNING


def test_suspended_is_frozen_by_another_name(bench: Bench, made: driver.DockerDriver) -> None:
    server = _server(bench, made, extra_specs={})
    server.task_state = task_states.SUSPENDING
    made.suspend(CONTEXT, server)
    assert made.get_info(server).state == power_state.SUSPENDED
    server.task_state, server.vm_state = None, vm_states.SUSPENDED
    assert made.get_info(server).state == power_state.SUSPENDED
    made.resume(CONTEXT, server, [])
    assert made.get_info(server).state == power_state.RUNNING
    made.pause(server)
    server.vm_state = vm_states.PAUSED
    assert made.get_info(server).state == power_state.PAUSED


def test_a_suspended_server_the_host_has_lost_starts(bench: Bench, made: driver.DockerDriver) -> None:
    server = _server(bench, made, extra_specs={})
    made.suspend(CONTEXT, server)
    bench.engine.end(f"nova-{server.uuid}", code=137)
    made.resume(CONTEXT, server, [nova_objects.port()])
    assert made.get_info(server).state == power_state.RUNNING
