# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""Which tests run on a cloud of which network backend; NOVA_DOCKER_BACKEND says which cloud this run has.

Without a mark a test runs on OVN's alone: what it looks at is the same with both, or OVN's.
"""

import os
from pathlib import Path

import pytest

BACKEND = os.environ.get("NOVA_DOCKER_BACKEND", "ovn")
# The story, and what a network does for it.
BOTH = pytest.mark.backends("ovn", "ovs")
OVS = pytest.mark.backends("ovs")


def chosen(folder: Path) -> Path:
    """A configuration that says which backend the cloud is to have."""
    file = folder / "cloud.toml"
    file.write_text(f'[network]\nbackend = "{BACKEND}"\n')
    return file


def divide(items: list[pytest.Item]) -> tuple[list[pytest.Item], list[pytest.Item]]:
    """Part the tests of this run's backend from the rest."""
    ours: list[pytest.Item] = []
    rest: list[pytest.Item] = []
    for item in items:
        mark = item.get_closest_marker("backends")
        (ours if BACKEND in (mark.args if mark else ("ovn",)) else rest).append(item)
    return ours, rest
