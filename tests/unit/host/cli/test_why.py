# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
import json

import pytest
from click.testing import CliRunner
from keystoneauth1.exceptions import ConnectFailure
from tests.fakes import cases, clouds

from novadocker.errors import NovaDockerError
from novadocker.host import cloud
from novadocker.host.bootstrap import session
from novadocker.host.cli import main
from novadocker.host.why import gather, here


@pytest.fixture
def recorded(tmp_path, monkeypatch):
    monkeypatch.setattr(cloud, "recall", lambda config: clouds.cloud_in(tmp_path))

    def as_it_is(found):
        monkeypatch.setattr(gather, "gather", lambda known, asked: found)

    return as_it_is


def _why(*words):
    return CliRunner().invoke(main.cli, ["why", *words], catch_exceptions=False)


def test_a_failure_with_its_evidence_and_fix(recorded):
    recorded(cases.case("badkernel"))
    done = _why("p-badkernel")
    assert done.exit_code == 1
    assert "✗ QEMU cannot boot the kernel its image names" in done.output
    assert "nova-libvirt: Failed to start libvirt guest" in done.output
    assert "→ openstack image create" in done.output


def test_a_good_server_is_its_timeline_and_no_failure(recorded):
    recorded(cases.case("good-c", container={"status": "running"}))
    done = _why("p-good-c")
    assert done.exit_code == 0
    assert "✓ It is ACTIVE" in done.output
    assert "claimed" in done.output


def test_what_is_unknown_says_what_was_looked_at(recorded):
    recorded(cases.case("disabled", missing={"southbound": "OVN does not answer"}))
    done = _why("p-disabled")
    assert done.exit_code == 1
    assert "? No host took it then" in done.output
    assert "southbound: not seen: OVN does not answer" in done.output


def test_as_json(recorded):
    recorded(cases.case("cut"))
    found = json.loads(_why("p-cut", "--json").output)
    assert found["rule"] == "image-unacceptable"
    assert found["timeline"][0]["name"] == "accepted"
    assert {"sentence", "evidence", "fix", "looked", "notes", "status", "kind"} <= found.keys()


def test_no_cloud(monkeypatch):
    monkeypatch.setattr(cloud, "recall", lambda config: None)
    with pytest.raises(NovaDockerError, match="no cloud"):
        _why("web")


@pytest.fixture
def silent(tmp_path, monkeypatch):
    """A cloud of which only the logs are left."""
    known = clouds.cloud_in(tmp_path)
    known.layout.logs.mkdir(parents=True)

    def refuse(*_, **__):
        raise NovaDockerError("An API did not answer.", facts="refused") from ConnectFailure("refused")

    monkeypatch.setattr(session, "administrator", refuse)
    monkeypatch.setattr(here, "supervised", lambda cloud: {"keystone": {"state": "STOPPED", "pid": 0}})
    for name in ("container", "domain", "southbound"):
        monkeypatch.setattr(here, name, lambda *_, **__: {})
    return known


def test_a_name_cannot_be_looked_up_while_the_cloud_is_down(silent):
    with pytest.raises(NovaDockerError, match="do not answer, so web cannot be looked up"):
        gather.gather(silent, "web")


def test_an_id_can_by_its_logs(silent):
    found = cases.case("badkernel")
    (silent.layout.logs / "nova-libvirt.log").write_text(
        "\n".join(each.text for each in found.entries if each.service == "nova-libvirt")
    )
    case = gather.gather(silent, found.id)
    assert case.status == "UNKNOWN"
    assert "kernel header" in case.told
    assert "refused" in case.seen.missing["server"]


def test_an_id_of_which_nothing_was_written(silent):
    with pytest.raises(NovaDockerError, match="no log names"):
        gather.gather(silent, "0e2d7a5e-8a3f-4c39-9d3c-7d3f1a5b6c7d")
