# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
import os

import pytest
from cryptography.fernet import Fernet
from tests.fakes import saved

from novadocker.errors import NovaDockerError
from novadocker.host import cloud, clouds, config, state
from novadocker.host.bootstrap import arrival
from novadocker.host.cli import load as verb
from novadocker.host.config import HostConfig
from novadocker.host.saved import versions
from novadocker.host.saved.load import Loading
from novadocker.host.state import Layout, Memory


@pytest.fixture
def here(monkeypatch, tmp_path):
    """A machine that could load it, of a user who may own every file."""
    monkeypatch.setattr(versions, "installed", lambda: saved.HERE)
    monkeypatch.setattr(versions, "architecture", lambda: "x86_64")
    monkeypatch.setattr(config, "check", lambda config: None)
    monkeypatch.setattr(cloud, "foresee", lambda chosen, *, memory: None)
    monkeypatch.setattr(clouds, "others", lambda name: [])
    for name in ("chown", "fchown"):
        monkeypatch.setattr(os, name, lambda *words: None)
    return tmp_path


@pytest.fixture
def chosen(here):
    return HostConfig(root=here / "root", run_dir=here / "run", user="root")


@pytest.fixture
def file(here):
    saved.write(here / "cloud.tar.zst", folder=here / "from")
    return here / "cloud.tar.zst"


def _load(chosen, file, *, keep_secrets=False):
    return Loading(chosen=chosen, file=file, keep_secrets=keep_secrets).unpack()


def _found(chosen) -> set[str]:
    data = Layout.of(chosen).data
    return {str(path.relative_to(data)) for path in data.rglob("*") if path.is_file()}


def test_its_databases_and_images_are_in_place_and_its_secrets_are_not(chosen, file):
    told = _load(chosen, file)
    assert told.hostname == "runner-1"
    kept = {"mariadb/ibdata1", "mariadb/nova/instances.ibd", saved.IMAGE}
    keys = {f"keystone/{kind}-keys/{number}" for kind in ("fernet", "credential") for number in "01"}
    assert _found(chosen) == kept | keys | {"state.json", "arrival.json"}
    layout = Layout.of(chosen)
    for path in kept:
        assert (layout.data / path).read_bytes() == saved.CONTENT[path]
    for path in keys:
        Fernet((layout.data / path).read_bytes())
        assert (layout.data / path).stat().st_mode & 0o777 == 0o600
    assert (layout.data / "mariadb").stat().st_mode & 0o777 == 0o750
    assert state.recall(layout) == Memory(hostname="runner-1", fixed=dict(saved.MANIFEST.fixed))
    assert arrival.pending(layout)
    assert not layout.loading.exists()


def test_its_secrets_come_along_if_they_are_to_be_kept(chosen, file):
    _load(chosen, file, keep_secrets=True)
    data = Layout.of(chosen).data
    for path in ("secrets.json", "keystone/fernet-keys/0", "keys/nova-docker"):
        assert (data / path).read_bytes() == saved.CONTENT[path]
        assert (data / path).stat().st_mode & 0o777 == 0o600
    assert not (data / "keystone" / "fernet-keys" / "1").exists()


def _unchanged(chosen):
    assert not chosen.root.exists() or not any(chosen.root.iterdir())


def test_a_cloud_that_is_there_stays(chosen, file):
    _load(chosen, file)
    before = _found(chosen)
    with pytest.raises(NovaDockerError, match="There is a cloud nova-docker already"):
        _load(chosen, file)
    assert _found(chosen) == before


def test_somebody_s_folder_stays(chosen, file):
    chosen.root.mkdir()
    (chosen.root / "letter").touch()
    with pytest.raises(NovaDockerError, match="not a cloud's"):
        _load(chosen, file)
    assert [path.name for path in chosen.root.iterdir()] == ["letter"]


def test_another_release_is_refused_with_both_versions(chosen, here):
    file = here / "old.tar.zst"
    saved.write(file, folder=here / "from", versions=saved.HERE | {"nova": "33.0.0"})
    with pytest.raises(NovaDockerError, match="another release") as caught:
        _load(chosen, file)
    assert caught.value.facts == "nova 33.0.0 in the file, 34.0.0 here"
    _unchanged(chosen)


def test_a_file_that_turns_out_bad_at_its_end_changes_nothing(chosen, file, here):
    told = saved.write(file, folder=here / "from")
    bad = (*told.entries[:-1], type(told.entries[0])(path=saved.IMAGE, size=5000, sha256="0" * 64))
    saved.write(file, folder=here / "from", entries=bad)
    with pytest.raises(NovaDockerError, match="not the whole") as caught:
        _load(chosen, file)
    assert f"{saved.IMAGE} is not what it was" in caught.value.facts
    _unchanged(chosen)


def test_what_the_machine_cannot_give_is_refused_before_anything_is_unpacked(chosen, file, monkeypatch):
    def taken(chosen, *, memory):
        assert memory.fixed["external_cidr"] == "172.24.4.0/24"
        raise NovaDockerError("Something of this machine already has what the cloud is to have.")

    monkeypatch.setattr(cloud, "foresee", taken)
    with pytest.raises(NovaDockerError, match="already has"):
        _load(chosen, file)
    _unchanged(chosen)


def test_another_cloud_s_host_names_are_refused(chosen, file, monkeypatch, here):
    other = clouds.Other(name="second", root=here, memory=Memory(hostname="runner-1"))
    monkeypatch.setattr(clouds, "others", lambda name: [other])
    with pytest.raises(NovaDockerError, match="the same names") as caught:
        _load(chosen, file)
    assert "runner-1 is the cloud second's" in caught.value.facts
    _unchanged(chosen)


def test_what_a_killed_load_left_is_in_nobody_s_way(chosen, file):
    layout = Layout.of(chosen)
    (layout.loading / "data" / "mariadb").mkdir(parents=True)
    (layout.loading / "data" / "mariadb" / "half").touch()
    layout.data.mkdir()
    _load(chosen, file)
    assert "mariadb/half" not in _found(chosen)
    assert not layout.loading.exists()


def test_a_refusal_leaves_no_folder(chosen, file, monkeypatch):
    file.write_bytes(b"")
    monkeypatch.setattr(verb.needs, "root", lambda: None)
    monkeypatch.setattr(verb, "check", lambda config: None)
    with pytest.raises(NovaDockerError, match="not the whole"):
        verb.load.callback.__wrapped__(chosen, file, False, False)
    assert not chosen.root.exists()
