# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""Rescue on fakes: who stands in for whom, and that the server's own container is never lost."""

from typing import Any

import pytest
from nova import exception
from nova.compute import power_state, vm_states
from nova.network import model
from tests.fakes import docker_archive, nova_objects
from tests.fakes.nova_objects import CONTEXT
from tests.unit.virt.docker.conftest import Bench, spawn

from novadocker.virt.docker import driver, names


@pytest.fixture
def made(bench: Bench) -> driver.DockerDriver:
    return bench.driver()


@pytest.fixture
def server(bench: Bench, made: driver.DockerDriver) -> Any:
    server, port = bench.server(), nova_objects.port()
    server.get_network_info = lambda: model.NetworkInfo([port])
    spawn(made, server, [port])
    bench.engine.put(_own(server), docker_archive.tar({"made": b"by the server"}))
    return server


def _own(server: Any) -> str:
    return names.container(uuid=server.uuid, role=names.WORKLOAD)


def _image(bench: Bench, command: list[str]) -> Any:
    """The metadata of another image."""
    other = nova_objects.server()
    layer = docker_archive.tar({"rescue": b"tools"})
    configuration = docker_archive.config([layer], command=command)
    bench.archives[other.image_ref] = docker_archive.save([layer], configuration=configuration)
    return nova_objects.image_meta(other)


def _rescue(made: driver.DockerDriver, server: Any, image: Any) -> None:
    made.power_off(server)
    made.rescue(CONTEXT, server, server.get_network_info(), image, "secret", {})
    server.vm_state = vm_states.RESCUED


def test_another_container_stands_in_with_the_disk(
    bench: Bench, made: driver.DockerDriver, server: Any
) -> None:
    own, steps = made.get_info(server).internal_id, len(bench.netlink.steps)
    passwords: list[str] = []
    made._servers.set_password = lambda instance, password: passwords.append(password)
    _rescue(made, server, _image(bench, ["runs", "rescue"]))
    stand_in = bench.engine.specs[_own(server)]
    assert stand_in.mounts == {"/mnt": {"type": "none", "device": f"/disks/{own}", "o": "bind"}}
    sandbox = f"container:{names.container(uuid=server.uuid, role=names.SANDBOX)}"
    assert stand_in.network == ("" if bench.kept else sandbox)
    assert made.get_info(server).state == power_state.RUNNING
    assert made.get_info(server).internal_id != own
    assert passwords == ["secret"]
    assert made.list_instance_uuids() == [server.uuid]
    assert not [one for one in bench.netlink.steps[steps:] if one.startswith(("pair", "bring in"))]
    bench.driver().init_host("host-docker")
    made.unrescue(CONTEXT, server)
    assert made.get_info(server).internal_id == own
    assert made.get_info(server).state == power_state.RUNNING
    assert b"by the server" in b"".join(bench.engine.export(_own(server)))
    assert len(bench.engine.list(host="host-docker", role=names.WORKLOAD)) == 1


@pytest.mark.parametrize("command", [["missing"], ["exit", "3"], []])
def test_a_rescue_that_fails_is_undone(
    bench: Bench, made: driver.DockerDriver, server: Any, command: list[str]
) -> None:
    own = made.get_info(server).internal_id
    with pytest.raises(exception.NovaException):
        _rescue(made, server, _image(bench, command))
    assert made.get_info(server).internal_id == own
    made.power_on(CONTEXT, server, [])
    assert made.get_info(server).state == power_state.RUNNING
    assert len(bench.engine.list(host="host-docker", role=names.WORKLOAD)) == 1


def test_a_server_in_rescue_is_deleted_whole(bench: Bench, made: driver.DockerDriver, server: Any) -> None:
    _rescue(made, server, _image(bench, ["runs"]))
    made.destroy(CONTEXT, server, server.get_network_info())
    for role in (names.WORKLOAD, names.SANDBOX):
        assert bench.engine.list(host="host-docker", role=role) == []
    assert not bench.kept or list(made._containers._namespaces.servers()) == []


def test_a_host_that_was_rebooted_brings_the_stand_in_back(
    bench: Bench, made: driver.DockerDriver, server: Any
) -> None:
    _rescue(made, server, _image(bench, ["runs"]))
    stand_in = made.get_info(server).internal_id
    bench.engine.end(_own(server), code=137)
    made.resume_state_on_host_boot(CONTEXT, server, server.get_network_info(), None)
    assert made.get_info(server).internal_id == stand_in
    assert made.get_info(server).state == power_state.RUNNING


def test_a_hard_reboot_mends_a_rescue_cut_short(bench: Bench, made: driver.DockerDriver, server: Any) -> None:
    own = made.get_info(server).internal_id
    made.power_off(server)
    bench.engine.rename(_own(server), name=names.container(uuid=server.uuid, role=names.RESCUED))
    server.vm_state = vm_states.ERROR
    made.reboot(CONTEXT, server, server.get_network_info(), "HARD")
    assert made.get_info(server).internal_id == own
    assert made.get_info(server).state == power_state.RUNNING
