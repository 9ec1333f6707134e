# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""The generated pages say what the code says now."""

import ast
import inspect
from pathlib import Path

import pytest
from nova.compute import manager
from nova.virt import driver as nova_driver
from nova.virt import hardware
from tools.reference import options, pages

from novadocker.virt import docker


@pytest.mark.parametrize("name", pages.PAGES)
def test_it_is_up_to_date(name: str) -> None:
    path = pages.ROOT / name
    written = path.read_text() if path.is_file() else ""
    assert written == pages.PAGES[name](), f"{name} is out of date: run `{pages.COMMAND}`"


def _read_by_the_driver() -> set[tuple[str, str]]:
    """Every option of another's that the driver's source reads from its configuration."""
    found = set()
    for file in Path(docker.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            words = ast.unparse(node).split(".") if isinstance(node, ast.Attribute) else []
            if len(words) == 2 and words[0] in {"CONF", "conf"} and words[1].islower():
                found.add(("DEFAULT", words[1]))
            elif len(words) == 3 and words[0] in {"CONF", "conf"}:
                found.add((words[1], words[2]))
    groups = {group for group, _ in found if group != "DEFAULT"}
    # Names of groups, and what the configuration and our module of that name can do.
    nothing = {*groups, "register", "register_group", "register_opts", "settings"}
    return {each for each in found if each[1] not in nothing and each[0] != "docker"}


def test_every_option_the_driver_reads_is_told_and_no_other() -> None:
    assert _read_by_the_driver() == {(each.group, each.name) for each in options.OBEYED if each.read}


def test_what_nova_reads_for_the_driver_is_read_by_nova() -> None:
    source = "".join(map(inspect.getsource, (nova_driver, manager, hardware)))
    for each in options.OBEYED:
        # Nova puts these names together from a resource's and this end.
        name = "_allocation_ratio" if each.name.endswith("_allocation_ratio") else each.name
        assert each.read or name in source, name
