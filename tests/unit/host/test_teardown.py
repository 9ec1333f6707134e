# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
import shutil

import pytest
from tests.fakes import clouds

from novadocker.host import cgroups, state, teardown
from novadocker.host.config import HostConfig

KEPT = {"data/state.json", "data/secrets.json", "data/mariadb/ibdata1"}


@pytest.fixture
def layout(tmp_path):
    made = clouds.cloud_in(tmp_path).layout
    state_files = [
        made.root / name for name in (*KEPT, "data/ovs/conf.db", "etc/nova/nova.conf", "log/x.log")
    ]
    for file in (*state_files, made.root / "letter", made.started / "mariadb", made.run / "ovs" / "db.pid"):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("{}")
    (made.run / "link").symlink_to(tmp_path)
    (tmp_path / "theirs").touch()
    return made


def _remove(layout, *, keep_data: bool = False) -> bool:
    return teardown._remove_files(layout, [], [], keep_data=keep_data)


def test_both_folders_go_and_what_a_link_leads_to_stays(layout, tmp_path):
    assert _remove(layout)
    assert [path.name for path in tmp_path.iterdir()] == ["theirs"]
    assert not _remove(layout)


def test_data_is_kept_without_the_switchs(layout, tmp_path):
    assert _remove(layout, keep_data=True)
    assert not layout.run.exists()
    left = {str(path.relative_to(layout.root)) for path in layout.root.rglob("*") if path.is_file()}
    assert left == KEPT | {"log/x.log", "letter"}


def test_a_removal_that_is_interrupted_anywhere_can_be_gone_on_with(layout, monkeypatch):
    real = shutil.rmtree
    interrupted = 0
    while layout.root.exists():
        calls = iter([None, KeyboardInterrupt()])

        def once(path) -> None:
            if error := next(calls):  # noqa: B023 - used within the round
                raise error
            real(path)

        monkeypatch.setattr(shutil, "rmtree", once)
        state.refuse_foreign(layout)
        try:
            _remove(layout)
        except KeyboardInterrupt:
            interrupted += 1
    assert interrupted > 3
    assert not layout.run.exists()


def test_folders_of_programs_go_when_empty_children_first(layout, tmp_path):
    outside = [tmp_path / "run-docker", tmp_path / "run-docker" / "plugins", tmp_path / "etc-docker"]
    for folder in outside:
        folder.mkdir()
    (outside[2] / "theirs").touch()
    teardown._remove_files(layout, [], outside, keep_data=False)
    assert [folder.exists() for folder in outside] == [False, False, True]


@pytest.mark.parametrize("gently", [True, False])
def test_only_who_has_data_is_told_to_end_and_waited_for(tmp_path, monkeypatch, gently):
    """A service that has none tries to reach the databases once they are gone, and is slow to give up."""
    mounted = cgroups.Hierarchies(mounts=(tmp_path / "one", tmp_path / "two"), follow=tmp_path / "one")
    for name in ("mariadb", "neutron-workers", "nova-docker", "servers", "supervisor"):
        (tmp_path / "one" / "nova-docker" / name).mkdir(parents=True)
    killed: list[str] = []
    monkeypatch.setattr(teardown.systemd, "remove", lambda name: False)
    monkeypatch.setattr(cgroups, "kill", lambda _, name: killed.append(name) or 1)
    assert teardown._end_processes(HostConfig(), mounted, gently=gently)
    one_by_one = {name.removeprefix("nova-docker/") for name in killed if name.startswith("nova-docker/")}
    assert killed[0] == "nova-docker/supervisor"
    assert one_by_one == {"supervisor", "nova-docker", "nova-libvirt"} | (
        {"neutron-workers"} if gently else set()
    )
    assert "nova-docker" in killed, "the rest of them"
