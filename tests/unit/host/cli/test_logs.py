# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
import json
import os

import pytest
from click.testing import CliRunner
from tests.fakes import clouds

from novadocker.errors import NovaDockerError
from novadocker.host import cloud
from novadocker.host.cli import main

SERVER = "0e2d7a5e-8a3f-4c39-9d3c-7d3f1a5b6c7d"
REQUEST = "req-9bdd031d-10a5-44db-b5ec-e08ba9b708b7"


@pytest.fixture
def known(tmp_path, monkeypatch):
    found = clouds.cloud_in(tmp_path)
    monkeypatch.setattr(cloud, "recall", lambda config: found)
    found.layout.logs.mkdir(parents=True)
    return found


@pytest.fixture
def written(known):
    (known.layout.logs / "nova-api.log").write_text(
        f"2026-11-22 16:00:01.0 1 INFO api [None {REQUEST} u p - - d d] POST servers\n"
        "2026-11-22 16:00:05.0 1 WARNING api [-] something else\n"
    )
    (known.layout.logs / "nova-docker.log").write_text(
        f"2026-11-22 16:00:03.0 1 ERROR compute [None {REQUEST} u p - - d d] [instance: {SERVER}] failed\n"
    )
    return known


def _logs(*words):
    return CliRunner().invoke(main.cli, ["logs", *words], catch_exceptions=False).output.splitlines()


def test_all_services_joined_by_time(written):
    assert [line.split(":")[0] for line in _logs()] == ["nova-api", "nova-docker", "nova-api"]


def test_one_service(written):
    assert [line[11:19] for line in _logs("nova-docker")] == ["16:00:03"]


def test_a_server(written):
    assert [line.split()[-1] for line in _logs(SERVER)] == ["servers", "failed"]


def test_the_last_entries(written):
    assert len(_logs("-n", "1")) == 1
    assert len(_logs("-n", "0")) == 3


def test_errors_alone_as_json(written):
    (line,) = _logs("--level", "error", "--json")
    assert json.loads(line)["service"] == "nova-docker"


def test_a_service_that_there_is_not(written):
    with pytest.raises(NovaDockerError, match="no service nova-compute"):
        _logs("nova-compute")


def test_no_cloud(monkeypatch):
    monkeypatch.setattr(cloud, "recall", lambda config: None)
    with pytest.raises(NovaDockerError, match="no cloud"):
        _logs()


def test_following_becomes_tail(written, monkeypatch):
    became = []
    monkeypatch.setattr(os, "execvp", lambda program, words: became.append(words))
    _logs("nova-api", "-f")
    assert became[0][:4] == ["tail", "-n", "20", "-F"]
    assert became[0][-1].endswith("nova-api.log")


def test_nothing_to_follow(known):
    with pytest.raises(NovaDockerError, match="Nothing was written"):
        _logs("-f")
