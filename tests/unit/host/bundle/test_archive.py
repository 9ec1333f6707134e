# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
import io
import json
import tarfile

import pytest
from tests.fakes import clouds
from tests.fakes import evidence as seen

from novadocker import run
from novadocker.errors import NovaDockerError
from novadocker.host import observe
from novadocker.host.bundle import archive, sources
from novadocker.host.checks import registry

NOW = "2026-11-22T16:30:00+00:00"


@pytest.fixture
def cloud(tmp_path, monkeypatch):
    """A cloud that is down, whose files and logs tell its passwords."""
    found = clouds.cloud_in(tmp_path)
    secret = found.secrets["nova-db"]
    (found.layout.etc / "nova").mkdir(parents=True)
    (found.layout.etc / "nova" / "nova.conf").write_text(
        f"[database]\nconnection = mysql://nova:{secret}@localhost/nova\n"
    )
    found.layout.logs.mkdir()
    (found.layout.logs / "nova-api.log").write_text(f"one {secret} two\n")
    (found.layout.logs / "nova-api.log.1").write_text("older\n")
    keys = found.layout.data / "keystone" / "fernet-keys"
    keys.mkdir(parents=True)
    (keys / "0").write_text("Zm9ydHktZm91ci1ieXRlcy1vZi1rZXk=")

    def down(cloud):
        raise NovaDockerError("It is down.")

    monkeypatch.setattr(observe, "observe", down)
    told = f"shown with {secret} and Zm9ydHktZm91ci1ieXRlcy1vZi1rZXk="
    monkeypatch.setattr(run, "run", lambda words, **_: run.Finished(code=0, out=told, err=""))
    return found


def test_no_secret_is_in_it_and_what_is_missing_is_named(cloud):
    done = archive.gathered(cloud, seen.evidence(), log_bytes=1000)
    everything = "\n".join(done.values())
    for value in [*cloud.secrets.values.values(), "Zm9ydHktZm91ci1ieXRlcy1vZi1rZXk"]:
        assert value not in everything
    assert "status.json: It is down." in done["README.txt"]
    assert done["logs/nova-api.log"] == "older\none *** two\n"
    assert done["config/nova/nova.conf"].endswith("mysql://nova:***@localhost/nova\n")
    assert done["machine/iptables.txt"] == "shown with *** and ***"


def test_elsewhere_it_is_judged_alike(cloud, tmp_path):
    before = seen.evidence(forwarding={"iptables": ["-P FORWARD DROP"]})
    contents = archive.gathered(cloud, before, log_bytes=1000)
    archive.write(tmp_path / "b.tar.gz", contents, now=NOW)
    again = archive.evidence(tmp_path / "b.tar.gz")
    assert registry.examine(again) == registry.examine(before)
    found = [each.to_dict() for each in registry.examine(before)]
    assert json.loads(contents["findings.json"]) == json.loads(json.dumps(found))


def test_the_same_gives_the_same_bytes_that_nobody_else_reads(tmp_path):
    first, second = {"b": "2", "a": "1"}, {"a": "1", "b": "2"}
    assert archive.packed(first, now=NOW) == archive.packed(second, now=NOW)
    archive.write(tmp_path / "b.tar.gz", first, now=NOW)
    assert (tmp_path / "b.tar.gz").stat().st_mode & 0o777 == 0o600
    with tarfile.open(tmp_path / "b.tar.gz") as packed:
        assert [entry.name for entry in packed] == [f"{archive.FOLDER}/a", f"{archive.FOLDER}/b"]
        assert {entry.mode for entry in packed} == {0o600}


def test_the_end_of_a_log_begins_with_a_line(tmp_path):
    log = tmp_path / "a.log"
    log.write_text("third\nfourth\n")
    (tmp_path / "a.log.1").write_text("first\nsecond\n")
    assert sources.end_of(log, size=16) == "third\nfourth\n"
    assert sources.end_of(log, size=20) == "second\nthird\nfourth\n"
    assert sources.end_of(log, size=1000) == "first\nsecond\nthird\nfourth\n"


@pytest.mark.parametrize(
    ("name", "text"), [("x", "{}"), (f"{archive.FOLDER}/evidence.json", "[]")], ids=["another", "no table"]
)
def test_what_is_no_bundle_is_refused(tmp_path, name, text):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as packed:
        entry = tarfile.TarInfo(name)
        entry.size = len(text)
        packed.addfile(entry, io.BytesIO(text.encode()))
    (tmp_path / "b").write_bytes(out.getvalue())
    with pytest.raises(ValueError, match=r"no bundle|no table"):
        archive.evidence(tmp_path / "b")
