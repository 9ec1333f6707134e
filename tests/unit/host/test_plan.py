# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
from dataclasses import replace
from pathlib import Path

import pytest
from tests.fakes import clouds
from tests.fakes.supervisor import FakeSupervisor

from novadocker.errors import NovaDockerError
from novadocker.host import plan, render
from novadocker.host.services import registry
from novadocker.host.supervise.door import Supervision


def _supervision(cloud, services):
    return Supervision(
        supervisor=FakeSupervisor(),
        settings=(render.supervisor_file(cloud, services),),
        scripts={
            name: render.start_file(cloud, service, group=f"/sys/fs/cgroup/nova-docker/{name}")
            for name, service in services.items()
        },
        groups={},
    )


@pytest.fixture
def cloud(tmp_path):
    return clouds.cloud_in(tmp_path)


@pytest.fixture
def standing(cloud):
    """The same cloud with its files in place and all services started with them."""
    services = registry.services(cloud)
    supervision = _supervision(cloud, services)
    for name, service in services.items():
        script = supervision.scripts[name]
        for file in (*service.files, script, *supervision.settings):
            file.path.parent.mkdir(parents=True, exist_ok=True)
            file.path.write_text(file.content)
        note = cloud.layout.started / name
        note.parent.mkdir(parents=True, exist_ok=True)
        note.write_text(render.fingerprint(service, script))
    return cloud


def _changes(cloud, *, running=None):
    services = registry.services(cloud)
    return plan.changes(
        cloud,
        services,
        supervision=_supervision(cloud, services),
        running=set(services) if running is None else running,
    )


def _with(cloud, **options):
    config = replace(cloud.config, options={"nova/nova.conf": {"DEFAULT": options}})
    return replace(cloud, config=config)


def test_where_nothing_is_all_is_new_and_starts(cloud):
    found = _changes(cloud, running=set())
    assert {change.what for change in found} == {"new", "start"}
    assert {change.name for change in found if change.kind == "service"} == set(registry.services(cloud))


def test_where_all_is_as_it_should_be_nothing_changes(standing):
    assert _changes(standing) == []


def test_an_added_option_restarts_what_reads_the_file_and_nothing_else(standing):
    found = _changes(_with(standing, debug="true"))
    files = [change for change in found if change.kind == "file"]
    assert [Path(change.name).name for change in files] == ["nova.conf"]
    assert "+debug = true" in files[0].why
    restarts = {change.name for change in found if change.kind == "service"}
    assert {"nova-api", "nova-conductor", "nova-docker", "nova-libvirt"} <= restarts
    assert not {"keystone", "neutron", "glance", "mariadb", "dockerd"} & restarts
    assert all("nova.conf changes" in change.why[0] for change in found if change.kind == "service")


def test_passwords_are_not_shown(standing):
    conf = standing.layout.etc / "nova" / "nova.conf"
    conf.write_text(conf.read_text().replace("transport_url", "#transport_url"))
    told = "\n".join(line for change in _changes(standing) for line in change.why)
    assert "transport_url" in told
    assert "password-of-rabbitmq" not in told


def test_a_service_that_does_not_run_is_started(standing):
    running = set(registry.services(standing)) - {"glance"}
    assert [(change.name, change.what) for change in _changes(standing, running=running)] == [
        ("glance", "start")
    ]


def test_options_for_a_file_that_is_none_are_refused(cloud):
    config = replace(cloud.config, options={"nova.conf": {"DEFAULT": {"debug": "true"}}})
    with pytest.raises(NovaDockerError) as caught:
        registry.services(replace(cloud, config=config))
    assert "nova/nova.conf" in caught.value.facts
