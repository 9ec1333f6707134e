# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""What all declarations together must keep to."""

from pathlib import Path

import pytest
from tests.fakes import clouds
from tests.fakes.supervisor import FakeSupervisor

from novadocker.host import apply, render
from novadocker.host.config import BACKENDS, HostConfig
from novadocker.host.services import backends, registry
from novadocker.host.services.model import Command, ConfigFile, Consumed, Folder, Service
from novadocker.host.steps import Step
from novadocker.host.supervise.door import Supervision

CLOUDS = {name: clouds.cloud(config=HostConfig(network_backend=name)) for name in BACKENDS}
SERVICES = {name: registry.services(cloud) for name, cloud in CLOUDS.items()}
PASSWORDS = list(clouds.SECRETS.values.values())
EVERY = pytest.mark.parametrize(
    ("backend", "service"),
    [
        pytest.param(backend, service, id=f"{backend}-{name}")
        for backend, declared in SERVICES.items()
        for name, service in declared.items()
    ],
)
EACH_BACKEND = pytest.mark.parametrize("backend", BACKENDS)


def _secrets_in(*texts: str) -> set[str]:
    return {password for password in PASSWORDS for text in texts if password in text}


def _all_files(backend: str) -> dict[Path, list[tuple[Service, ConfigFile]]]:
    found: dict[Path, list[tuple[Service, ConfigFile]]] = {}
    for service in SERVICES[backend].values():
        for file in service.files:
            found.setdefault(file.path, []).append((service, file))
    return found


@EACH_BACKEND
def test_every_declaration_has_a_name_of_its_own(backend):
    assert len(SERVICES[backend]) == len(registry.ALL[backend])


def _steps(backend: str) -> list[Step]:
    supervision = Supervision(supervisor=FakeSupervisor(), settings=(), scripts={}, groups={})
    return apply.Applier(CLOUDS[backend], services=SERVICES[backend], supervision=supervision).steps()


@EACH_BACKEND
def test_every_need_is_met_by_a_service_or_a_step_and_none_in_a_circle(backend):
    steps = _steps(backend)
    waiting = {step.name: set(step.needs) for step in steps}
    assert len(waiting) == len(steps)
    assert set().union(*waiting.values()) <= set(waiting)
    while ready := [name for name, needs in waiting.items() if not needs]:
        for name in ready:
            del waiting[name]
        for needs in waiting.values():
            needs.difference_update(ready)
    assert not waiting


@EACH_BACKEND
def test_every_step_waits_for_the_files_and_the_supervisor(backend):
    steps = {step.name: step for step in _steps(backend)}

    def reaches(name: str) -> set[str]:
        return {name}.union(*(reaches(need) for need in steps[name].needs))

    for name in set(steps) - {"files", "supervisor"}:
        assert {"files", "supervisor"} <= reaches(name), name


@EACH_BACKEND
def test_a_path_has_one_content_and_one_mode(backend):
    for path, declared in _all_files(backend).items():
        assert len({(file.content, file.mode) for _, file in declared}) == 1, path


@EACH_BACKEND
def test_a_folder_has_one_mode(backend):
    modes: dict[Path, set[int]] = {}
    for service in SERVICES[backend].values():
        for folder in service.folders:
            modes.setdefault(folder.path, set()).add(folder.mode)
    assert {path: found for path, found in modes.items() if len(found) > 1} == {}


@EACH_BACKEND
def test_a_path_belongs_to_one_user_beside_root(backend):
    users: dict[Path, set[str]] = {}
    for service in SERVICES[backend].values():
        items: tuple[ConfigFile | Folder, ...] = (*service.files, *service.folders)
        for item in items:
            users.setdefault(item.path, set()).add(service.user)
    assert {path: found for path, found in users.items() if len(found - {""}) > 1} == {}


@EVERY
def test_all_it_writes_lies_in_the_clouds_folders(backend, service):
    layout = CLOUDS[backend].layout
    for item in (*service.files, *service.folders):
        assert item.path.is_relative_to(layout.root) or item.path.is_relative_to(layout.run), item.path
        assert item.path not in (layout.root, layout.run)


@EVERY
def test_passwords_are_in_files_for_one_user_alone(backend, service):
    starts = [
        make(CLOUDS[backend], service, group="/group") for make in (render.start_script, render.start_file)
    ]
    ready = service.ready.words if isinstance(service.ready, Command) else ()
    shown = (
        *(file.content for file in starts),
        *service.command,
        *service.prepare,
        *ready,
        *service.environment,
        *service.environment.values(),
    )
    assert not _secrets_in(*shown)
    for file in service.files:
        if _secrets_in(file.content, str(file.path)):
            assert file.mode & 0o077 == 0, file.path
        assert not _secrets_in(str(file.path))


@EACH_BACKEND
def test_passwords_are_looked_for_where_they_are(backend):
    files = [file for declared in _all_files(backend).values() for _, file in declared]
    # Keystone's own database has these.
    elsewhere = {f"password-of-{user}" for user in ("admin", "member", "alt")}
    assert _secrets_in(*(file.content for file in files)) == set(PASSWORDS) - elsewhere


@EACH_BACKEND
def test_no_password_is_in_the_supervisors_file(backend):
    assert not _secrets_in(render.supervisor_file(CLOUDS[backend], SERVICES[backend]).content)


@EVERY
def test_it_ends_before_the_supervisor_gives_up_waiting(backend, service):
    assert service.stop_seconds < 60


@EACH_BACKEND
def test_every_server_listens_on_loopback(backend):
    text = "".join(
        render.start_script(CLOUDS[backend], service, group="/group").content
        + "".join(file.content for file in service.files)
        for service in SERVICES[backend].values()
    )
    assert "0.0.0.0" not in text
    assert "[::]" not in text


@EACH_BACKEND
def test_there_is_one_agent_of_a_kind(backend):
    words = [word for service in SERVICES[backend].values() for word in service.command if "--" not in word]
    agents = [Path(word).name for word in words if "agent" in Path(word).name and "/bin/" in word]
    assert len(agents) == len(set(agents))
    assert agents


@EACH_BACKEND
def test_both_computes_wait_for_what_makes_ports_work(backend):
    for name in ("nova-docker", "nova-libvirt"):
        assert backends.BY_NAME[backend].switching in SERVICES[backend][name].needs


def test_nothing_of_ovn_runs_with_ovs():
    assert not [name for name in SERVICES["ovs"] if "ovn" in name or "maintenance" in name]
    texts = [file.content for service in SERVICES["ovs"].values() for file in service.files]
    assert not [text for text in texts if "ovnnb" in text or "ovnsb" in text]


def test_nova_is_ready_when_its_queues_are_listened_to():
    """Nova itself calls a service up for a minute after its end."""
    cloud, services = CLOUDS["ovn"], SERVICES["ovn"]
    queues = {
        name: ready.queue
        for name, service in services.items()
        if isinstance(ready := service.ready, Consumed)
    }
    assert queues == {
        "nova-conductor": f"scheduler.{cloud.hostname}",
        "nova-libvirt": f"compute.{cloud.hostname}",
        "nova-docker": f"compute.{cloud.docker_host}",
    }
