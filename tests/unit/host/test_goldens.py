# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""Every file of a made-up cloud, compared as a whole with the reviewed one: changes show in a review."""

from pathlib import Path

import pytest
from tests import goldens
from tests.fakes import clouds

from novadocker.host import render
from novadocker.host.config import HostConfig
from novadocker.host.services import registry
from novadocker.host.services.model import ConfigFile
from novadocker.host.supervise import units


def _files(backend: str) -> dict[str, ConfigFile]:
    cloud = clouds.cloud(config=HostConfig(network_backend=backend))
    services = registry.services(cloud)
    group = "/sys/fs/cgroup/nova-docker"
    declared = [render.supervisor_file(cloud, services)]
    for service in services.values():
        declared += [render.start_file(cloud, service, group=f"{group}/{service.name}"), *service.files]
    below_systemd = {f"systemd/{file.path.name}": file for file in units.files(cloud, services)}
    return {_name(file.path.relative_to(cloud.layout.root)): file for file in declared} | below_systemd


def _name(below: Path) -> str:
    # Hidden files would be overlooked in a review.
    return str(below.relative_to("etc") if below.parts[0] == "etc" else below).replace("/.", "/dot-")


USUAL = _files("ovn")
# Of the other backend, what differs.
OTHER = {
    f"with-ovs/{name}": file
    for name, file in _files("ovs").items()
    if name not in USUAL or file.content != USUAL[name].content
}
FILES = USUAL | OTHER


@pytest.mark.parametrize("name", FILES)
def test_it_is_as_reviewed(golden, name):
    golden(name, FILES[name].content)


def test_modes(golden):
    golden("modes", "".join(f"{file.mode:04o} {name}\n" for name, file in sorted(FILES.items())))


def test_none_is_left_from_the_past():
    kept = {str(path.relative_to(goldens.FOLDER)) for path in goldens.FOLDER.rglob("*") if path.is_file()}
    # Those of `nova-docker render` are looked at in overlay/test_overlay.py.
    assert {name for name in kept if not name.startswith("overlay/")} == {*FILES, "modes"}
