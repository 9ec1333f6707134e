# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
import json
import stat
from pathlib import Path

import pytest

from novadocker.errors import NovaDockerError
from novadocker.host import state

KEPT = state.Memory(
    hostname="host",
    ports={"keystone": 5000},
    capacity={"libvirt": {"vcpus": 1}},
    forwarding_before="0",
    kvm=False,
    clients_file="/root/clouds.yaml",
    missing_before=["/run/docker", "/etc/docker"],
)


@pytest.fixture
def layout(tmp_path):
    made = state.Layout(root=tmp_path / "root", run=tmp_path / "run")
    made.data.mkdir(parents=True)
    return made


def test_of_a_cloud_that_never_was_nothing_is_remembered(layout):
    assert state.recall(layout) == state.Memory()
    assert state.Memory().outside() == []


def test_what_is_remembered_is_recalled(layout):
    state.remember(layout, KEPT)
    assert state.recall(layout) == KEPT
    assert stat.S_IMODE(layout.memory_file.stat().st_mode) == 0o600
    assert KEPT.outside() == [Path("/run/docker"), Path("/etc/docker")]


def test_another_versions_facts_are_left_out_and_missing_ones_are_undecided(layout):
    layout.memory_file.write_text(json.dumps({"hostname": "host", "of a later version": 1}))
    assert state.recall(layout) == state.Memory(hostname="host")


@pytest.mark.parametrize("damage", ["", "{", "[]"])
def test_damage_is_told(layout, damage):
    layout.memory_file.write_text(damage)
    with pytest.raises(NovaDockerError, match="damaged"):
        state.recall(layout)


def test_folders_that_are_touched_come_after_their_parents():
    places = {name: number for number, name in enumerate(state.TOUCHED)}
    for name in state.TOUCHED:
        for parent in Path(name).parents:
            assert places.get(str(parent), -1) < places[name]


def test_all_lies_in_the_two_folders(layout):
    for name in dir(state.Layout):
        value = getattr(layout, name)
        if isinstance(value, Path):
            assert value.is_relative_to(layout.root) or value.is_relative_to(layout.run), name


def _entry(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("theirs")


FOLDERS = {
    "nothing there": (lambda layout: None, True),
    "interrupted first up": (lambda layout: layout.run.mkdir(), True),
    "a cloud": (lambda layout: (state.remember(layout, KEPT), layout.started.mkdir(parents=True)), True),
    "a cloud that is down": (lambda layout: state.remember(layout, KEPT), True),
    "somebody's root": (lambda layout: _entry(layout.root / "letter"), False),
    "somebody's data": (lambda layout: _entry(layout.data / "letter"), False),
    "somebody's run": (lambda layout: _entry(layout.run / "their.pid"), False),
    "a cloud with somebody's run": (
        lambda layout: (state.remember(layout, KEPT), _entry(layout.run / "their.pid")),
        False,
    ),
}


@pytest.mark.parametrize(("make", "fine"), FOLDERS.values(), ids=FOLDERS.keys())
def test_folders_of_others_are_refused(layout, make, fine):
    make(layout)
    if fine:
        state.refuse_foreign(layout)
    else:
        with pytest.raises(NovaDockerError, match="not a cloud's"):
            state.refuse_foreign(layout)
