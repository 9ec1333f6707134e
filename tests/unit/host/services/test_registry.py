# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""What all declarations together must keep to."""

from pathlib import Path

import pytest
from tests.fakes import clouds
from tests.fakes.supervisor import FakeSupervisor

from novadocker.host import apply, render
from novadocker.host.services import registry
from novadocker.host.services.model import Command, ConfigFile, Folder, Service
from novadocker.host.steps import Step
from novadocker.host.supervise.door import Supervision

CLOUD = clouds.cloud()
SERVICES = registry.services(CLOUD)
PASSWORDS = list(clouds.SECRETS.values.values())
EVERY = pytest.mark.parametrize("service", SERVICES.values(), ids=SERVICES.keys())


def _secrets_in(*texts: str) -> set[str]:
    return {password for password in PASSWORDS for text in texts if password in text}


def _all_files() -> dict[Path, list[tuple[Service, ConfigFile]]]:
    found: dict[Path, list[tuple[Service, ConfigFile]]] = {}
    for service in SERVICES.values():
        for file in service.files:
            found.setdefault(file.path, []).append((service, file))
    return found


def test_every_declaration_has_a_name_of_its_own():
    assert len(SERVICES) == len(registry.ALL)


def _steps() -> list[Step]:
    supervision = Supervision(supervisor=FakeSupervisor(), settings=(), scripts={}, groups={})
    return apply.Applier(CLOUD, services=SERVICES, supervision=supervision).steps()


def test_every_need_is_met_by_a_service_or_a_step_and_none_in_a_circle():
    steps = _steps()
    waiting = {step.name: set(step.needs) for step in steps}
    assert len(waiting) == len(steps)
    assert set().union(*waiting.values()) <= set(waiting)
    while ready := [name for name, needs in waiting.items() if not needs]:
        for name in ready:
            del waiting[name]
        for needs in waiting.values():
            needs.difference_update(ready)
    assert not waiting


def test_every_step_waits_for_the_files_and_the_supervisor():
    steps = {step.name: step for step in _steps()}

    def reaches(name: str) -> set[str]:
        return {name}.union(*(reaches(need) for need in steps[name].needs))

    for name in set(steps) - {"files", "supervisor"}:
        assert {"files", "supervisor"} <= reaches(name), name


def test_a_path_has_one_content_and_one_mode():
    for path, declared in _all_files().items():
        assert len({(file.content, file.mode) for _, file in declared}) == 1, path


def test_a_folder_has_one_mode():
    modes: dict[Path, set[int]] = {}
    for service in SERVICES.values():
        for folder in service.folders:
            modes.setdefault(folder.path, set()).add(folder.mode)
    assert {path: found for path, found in modes.items() if len(found) > 1} == {}


def test_a_path_belongs_to_one_user_beside_root():
    users: dict[Path, set[str]] = {}
    for service in SERVICES.values():
        items: tuple[ConfigFile | Folder, ...] = (*service.files, *service.folders)
        for item in items:
            users.setdefault(item.path, set()).add(service.user)
    assert {path: found for path, found in users.items() if len(found - {""}) > 1} == {}


@EVERY
def test_all_it_writes_lies_in_the_clouds_folders(service):
    layout = CLOUD.layout
    for item in (*service.files, *service.folders):
        assert item.path.is_relative_to(layout.root) or item.path.is_relative_to(layout.run), item.path
        assert item.path not in (layout.root, layout.run)


@EVERY
def test_passwords_are_in_files_for_one_user_alone(service):
    script = render.start_script(CLOUD, service, group="/group")
    ready = service.ready.words if isinstance(service.ready, Command) else ()
    shown = (
        script.content,
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


def test_passwords_are_looked_for_where_they_are():
    files = [file for declared in _all_files().values() for _, file in declared]
    elsewhere = {"password-of-admin", "password-of-member"}  # Keystone's own database has these
    assert _secrets_in(*(file.content for file in files)) == set(PASSWORDS) - elsewhere


def test_no_password_is_in_the_supervisors_file():
    assert not _secrets_in(render.supervisor_file(CLOUD, SERVICES).content)


@EVERY
def test_it_ends_before_the_supervisor_gives_up_waiting(service):
    assert service.stop_seconds < 60


def test_every_server_listens_on_loopback():
    text = "".join(
        render.start_script(CLOUD, service, group="/group").content
        + "".join(file.content for file in service.files)
        for service in SERVICES.values()
    )
    assert "0.0.0.0" not in text
    assert "[::]" not in text
