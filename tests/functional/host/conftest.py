# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
from collections.abc import Iterator
from pathlib import Path

import pytest
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
