# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
import threading
from dataclasses import replace

import pytest
from tests.functional.host import grounds

from novadocker import poll
from novadocker.errors import NovaDockerError
from novadocker.host import cgroups, clouds, state
from novadocker.host.config import HostConfig
from novadocker.host.state import Layout, Memory


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    monkeypatch.setattr(clouds, "PLACE", tmp_path / "clouds")
    return tmp_path / "clouds"


def _cloud(folder, name: str, **facts) -> HostConfig:
    config = HostConfig(name=name, root=folder / name, run_dir=folder / f"{name}-run")
    layout = Layout.of(config)
    layout.data.mkdir(parents=True)
    state.remember(layout, Memory(**{"capacity": {"some": "thing"}, **facts}))
    return config


def test_each_sees_the_others(tmp_path, place):
    one, two = _cloud(tmp_path, "one", hostname="1"), _cloud(tmp_path, "two", hostname="2")
    with clouds.alone():
        clouds.enter(one)
        clouds.enter(two)
        clouds.enter(two)
    assert [(other.name, other.memory.hostname) for other in clouds.others("one")] == [("two", "2")]
    with clouds.alone():
        clouds.leave(two)
        clouds.leave(two)
    assert clouds.others("one") == []
    with clouds.alone():
        clouds.leave(one)
    assert not place.exists()


def test_one_without_memory_is_none(tmp_path):
    one, two = _cloud(tmp_path, "one"), _cloud(tmp_path, "two")
    with clouds.alone():
        clouds.enter(one)
        clouds.enter(two)
    Layout.of(one).memory_file.write_text("{")
    Layout.of(two).memory_file.unlink()
    assert clouds.others("three") == []
    clouds.enter(replace(two, root=tmp_path / "three"))  # the name is free


def test_a_cloud_of_another_root_is_not_taken_away(tmp_path, place):
    one = _cloud(tmp_path, "one")
    with clouds.alone():
        clouds.enter(one)
    clouds.leave(replace(one, root=tmp_path / "elsewhere"))
    assert (place / "one").is_symlink()
    with pytest.raises(NovaDockerError, match="under another root"):
        clouds.enter(replace(one, root=tmp_path / "elsewhere"))


def test_two_do_not_decide_at_once(place):
    order = []

    def later():
        with clouds.alone():
            order.append("second")

    with clouds.alone():
        other = threading.Thread(target=later)
        other.start()
        other.join(0.2)
        order.append("first")
    other.join(5)
    assert order == ["first", "second"]
    assert not place.exists()


def test_a_control_group_of_another_program_is_refused(tmp_path):
    with grounds.control_group() as (mounted, name):
        config = HostConfig(name=name, root=tmp_path / "root", run_dir=tmp_path / "run")
        clouds.refuse_namesake(config, mounted, groups=(name, f"{name}.slice"))
        group = mounted.follow / name
        with grounds.inside(group, "sleep", "60"):
            poll.until(
                lambda: None if cgroups.members(group) else "empty",
                why="The process in its group", seconds=10, pause=0.02,
            )  # fmt: skip
            with pytest.raises(NovaDockerError, match="is not of a cloud"):
                clouds.refuse_namesake(config, mounted, groups=(name, f"{name}.slice"))
            Layout.of(config).data.mkdir(parents=True)
            state.remember(Layout.of(config), Memory())
            clouds.refuse_namesake(config, mounted, groups=(name, f"{name}.slice"))
