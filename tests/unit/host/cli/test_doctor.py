# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
import json

import pytest
from click.testing import CliRunner
from tests.fakes import evidence as seen

from novadocker import run
from novadocker.errors import NovaDockerError
from novadocker.host import cloud
from novadocker.host.cli import main
from novadocker.host.evidence import gather


@pytest.fixture
def machine(monkeypatch):
    """What is seen, look by look."""
    looks = [seen.evidence()]
    monkeypatch.setattr(cloud, "recall", lambda config: None)
    monkeypatch.setattr(gather, "gather", lambda *_, **__: looks.pop(0) if len(looks) > 1 else looks[0])
    return looks


def _doctor(*words):
    return CliRunner().invoke(main.cli, ["doctor", *words])


def _closed():
    return seen.evidence(forwarding={"iptables": ["-P FORWARD DROP"]})


def test_nothing_is_found_where_nothing_is_wrong(machine):
    done = _doctor()
    assert done.exit_code == 0
    assert "0 failures, 0 warnings, 0 not looked at" in done.output


def test_what_is_found_is_told_with_its_fix(machine):
    machine[:] = [_closed()]
    done = _doctor()
    assert done.exit_code == 1
    assert "✗ forwarding: The rules that let servers' packets pass are gone" in done.output
    assert "→ nova-docker up" in done.output


def test_as_json(machine):
    machine[:] = [_closed()]
    found = {each["id"]: each for each in json.loads(_doctor("--json").output)}
    assert found["forwarding"]["status"] == "fail"
    assert found["forwarding"].keys() == {"id", "status", "asks", "evidence", "cause", "fix", "safe"}


def test_what_is_safe_is_fixed_and_looked_at_again(machine, monkeypatch):
    ran = []
    monkeypatch.setattr(run, "run", lambda words, **_: ran.append(words))
    machine[:] = [_closed(), seen.evidence()]
    assert _doctor("--fix").exit_code == 0
    assert ran == [["sh", "-c", "nova-docker up"]]


def test_a_fix_that_fails_is_told_and_the_next_is_tried(machine, monkeypatch):
    ran = []

    def fails(words, **more):
        ran.append((words[2], more["environment"]["NOVA_DOCKER_NAME"]))
        raise run.CommandFailed("It ended with code 1.", facts="no luck")

    monkeypatch.setattr(run, "run", fails)
    machine[:] = [
        seen.evidence(
            **_closed().parts
            | {
                "upkeep": {"alive": True, "reaped": False, "services": {}},
                "offloads": [{"server": "s", "pid": 9, "device": "eth0", "checksums": True}],
            }
        )
    ]
    done = _doctor("--fix")
    assert done.exit_code == 1
    assert "no luck" in done.stderr
    assert ran == [
        ("nova-docker up", "nova-docker"),
        ("nsenter --net=/proc/9/ns/net -- ethtool -K eth0 tx off", "nova-docker"),
    ]


def test_a_cloud_that_cannot_be_remembered_is_a_finding(monkeypatch):
    def damaged(config):
        raise NovaDockerError("state.json is damaged.", facts="no JSON")

    monkeypatch.setattr(cloud, "recall", damaged)
    monkeypatch.setattr(
        gather, "gather", lambda known, *, damaged, **_: seen.evidence(ours={}, damaged=damaged)
    )
    found = {each["id"]: each for each in json.loads(_doctor("--json").stdout)}
    assert found["cloud-files"]["evidence"] == ["state.json is damaged.", "no JSON"]


def test_a_cloud_that_may_not_be_read_is_left_out(monkeypatch):
    def closed(config):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(cloud, "recall", closed)
    monkeypatch.setattr(gather, "gather", lambda known, **_: seen.evidence(ours={}))
    done = _doctor("--json")
    assert "not looked at" in done.stderr
    assert json.loads(done.stdout)


def test_what_is_not_safe_is_left(machine, monkeypatch):
    monkeypatch.setattr(run, "run", lambda *_, **__: pytest.fail("nothing may be run"))
    machine[:] = [seen.evidence(servers=[])]
    assert _doctor("--fix").exit_code == 1


def test_evidence_from_elsewhere(machine, tmp_path):
    file = tmp_path / "evidence.json"
    file.write_text(json.dumps(_closed().to_dict()))
    assert "forwarding" in _doctor("--from", str(file)).output


def test_what_is_no_evidence_is_refused(machine, tmp_path):
    file = tmp_path / "evidence.json"
    file.write_text("[]")
    assert isinstance(_doctor("--from", str(file)).exception, NovaDockerError)
