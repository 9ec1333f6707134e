# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
import pwd
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.fakes import clouds
from tests.functional.host import grounds

from novadocker.host import cgroups


@pytest.fixture
def folder() -> Iterator[Path]:
    grounds.require("losetup")
    with grounds.short_folder() as made:
        yield made


@pytest.fixture
def groups() -> Iterator[tuple[cgroups.Hierarchies, str]]:
    grounds.require("sh")
    with grounds.control_group() as made:
        yield made


@pytest.fixture
def cloud(folder):
    for user in ("nova-docker", "rabbitmq"):
        try:
            pwd.getpwnam(user)
        except KeyError:
            pytest.skip(f"needs the user {user}: run packages/install")
    made = clouds.cloud_in(folder)
    for each in (made.layout.data, made.layout.logs):
        each.mkdir(parents=True)
    return made


@pytest.fixture
def written(cloud):
    """The cloud with all its files, whose control groups are plain folders."""
    assert grounds.write_files(cloud)
    assert not grounds.write_files(cloud)
    return cloud
