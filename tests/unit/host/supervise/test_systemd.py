# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""What systemd is told, and how its answers are read; a real one is in tests/e2e/test_systemd.py."""

import pytest

from novadocker import run
from novadocker.errors import NovaDockerError
from novadocker.host.services.model import ConfigFile
from novadocker.host.supervise import systemd, units


class Systemctl:
    """Answers `show` with what the test says, everything else with success."""

    def __init__(self) -> None:
        self.facts: dict[str, dict[str, str]] = {}
        self.calls: list[str] = []
        self.fails: set[str] = set()
        self.enabled = self.active = False

    def __call__(self, command, *, check=True, seconds=0):
        assert command[:2] == ["systemctl", "--no-pager"]
        verb, *words = command[2:]
        if verb == "show":
            named = [word for word in words if not word.startswith("--")]
            return run.Finished(code=0, out="\n\n".join(map(self._show, named)) + "\n", err="")
        if verb == "is-enabled":
            return run.Finished(code=0, out="enabled\n" if self.enabled else "disabled\n", err="")
        if verb == "is-active":
            return run.Finished(code=0, out="active\n" if self.active else "inactive\n", err="")
        self.calls.append(" ".join([verb, *words]))
        if verb in self.fails and check:
            raise run.CommandFailed("`systemctl` ended with code 5.", facts="Unit not found.")
        return run.Finished(code=0, out="", err="")

    def _show(self, unit: str) -> str:
        facts = {
            "Id": unit, "LoadState": "loaded", "ActiveState": "inactive", "SubState": "dead", "MainPID": "0",
            "Result": "success", "StatusText": "", "ExecMainStartTimestamp": "", "NeedDaemonReload": "no",
        }  # fmt: skip
        return "\n".join(f"{name}={value}" for name, value in (facts | self.facts.get(unit, {})).items())


@pytest.fixture
def ctl(monkeypatch):
    made = Systemctl()
    monkeypatch.setattr(run, "run", made)
    monkeypatch.setattr(systemd, "booted", lambda: True)
    return made


@pytest.fixture
def own(tmp_path):
    return systemd.Systemd("nova-docker", services=["it", "other"], folder=tmp_path)


def _write(folder, unit, cloud="nova-docker"):
    (folder / unit).write_text(f"{units.mark(cloud)}\n[Unit]\n")


@pytest.mark.parametrize(
    ("active", "sub", "state"),
    [
        ("active", "running", "RUNNING"),
        ("reloading", "reload", "RUNNING"),
        ("activating", "start", "STARTING"),
        ("activating", "auto-restart", "BACKOFF"),
        ("deactivating", "stop-sigterm", "STOPPING"),
        ("failed", "failed", "FATAL"),
        ("inactive", "dead", "STOPPED"),
    ],
)
def test_its_states_are_read_as_the_supervisors(ctl, own, active, sub, state):
    ctl.facts["openstack-it.service"] = {"ActiveState": active, "SubState": sub, "MainPID": "7"}
    process = own.processes()["it"]
    assert (process.state, process.pid) == (state, 7)
    assert own.processes()["other"].state == "STOPPED"


def test_when_and_why_are_told(ctl, own):
    ctl.facts["openstack-it.service"] = {
        "ExecMainStartTimestamp": "@1700000000", "SubState": "failed", "Result": "exit-code"
    }  # fmt: skip
    process = own.processes()["it"]
    assert process.started == 1700000000
    assert process.said == "failed, result exit-code"
    assert own.processes()["other"].started == 0


def test_a_start_begins_with_all_its_tries(ctl, own):
    own.begin("it")
    assert ctl.calls == ["reset-failed openstack-it.service", "start --no-block openstack-it.service"]


def test_a_refusal_is_told_in_its_words(ctl, own):
    ctl.fails.add("start")
    with pytest.raises(NovaDockerError, match="refused `start`") as refused:
        own.begin("it")
    assert "Unit not found." in refused.value.facts
    for ask in (own.begin, own.stop):
        with pytest.raises(NovaDockerError, match="refused"):
            ask("nobody")


def test_unchanged_units_are_not_read_again(ctl, own, tmp_path):
    _write(tmp_path, "openstack-it.service")
    assert not own.adopt_settings()
    assert ctl.calls == []


def test_changed_ones_stop_and_are_read_again(ctl, own):
    ctl.facts["openstack-it.service"] = {"NeedDaemonReload": "yes"}
    ctl.facts["nova-docker-boot.service"] = {"NeedDaemonReload": "yes"}
    assert own.adopt_settings()
    # Not the unit that may be what runs us.
    assert ctl.calls == ["stop openstack-it.service", "daemon-reload"]


def test_new_ones_are_read(ctl, own, tmp_path):
    ctl.facts["openstack-it.service"] = {"LoadState": "not-found"}
    assert not own.adopt_settings()
    _write(tmp_path, "openstack-it.service")
    assert own.adopt_settings()
    assert "daemon-reload" in ctl.calls


def test_one_no_longer_declared_stops_and_goes_and_anothers_stays(ctl, own, tmp_path):
    _write(tmp_path, "openstack-gone.service")
    _write(tmp_path, "openstack-second-it.service", cloud="second")
    (tmp_path / "openstack-theirs.service").write_text("[Unit]\n")
    assert own.adopt_settings()
    assert ctl.calls == ["stop openstack-gone.service", "daemon-reload"]
    assert {path.name for path in tmp_path.iterdir()} == {
        "openstack-second-it.service",
        "openstack-theirs.service",
    }


def test_the_next_boot_is_kept_once(ctl, own):
    assert own.keep()
    assert ctl.calls == ["enable nova-docker-boot.service", "start nova-docker.target"]
    ctl.calls.clear()
    ctl.enabled = ctl.active = True
    assert not own.keep()
    assert ctl.calls == []


def test_somebody_elses_unit_is_not_written_over(ctl, own, tmp_path, monkeypatch):
    others = tmp_path / "lib"
    others.mkdir()
    monkeypatch.setattr(systemd, "_OTHERS", (others,))
    wanted = [ConfigFile(path=tmp_path / "openstack-it.service", content="")]
    own.refuse_foreign(wanted)
    _write(tmp_path, "openstack-it.service")
    own.refuse_foreign(wanted)
    (tmp_path / "openstack-it.service").write_text("[Unit]\nDescription=mine\n")
    with pytest.raises(NovaDockerError, match="somebody else's"):
        own.refuse_foreign(wanted)
    _write(tmp_path, "openstack-it.service")
    (others / "openstack-it.service").touch()
    with pytest.raises(NovaDockerError, match="somebody else's"):
        own.refuse_foreign(wanted)


def test_removed_are_the_clouds_own_alone(ctl, tmp_path):
    for unit in ("openstack-it.service", "nova-docker.slice", "nova-docker-boot.service"):
        _write(tmp_path, unit)
    _write(tmp_path, "openstack-second-it.service", cloud="second")
    assert systemd.remove("nova-docker", folder=tmp_path)
    assert ctl.calls == [
        "stop nova-docker-boot.service openstack-it.service",
        "disable nova-docker-boot.service",
    ]
    assert [path.name for path in tmp_path.iterdir()] == ["openstack-second-it.service"]
    assert not systemd.remove("nova-docker", folder=tmp_path)


@pytest.mark.parametrize("holds", [{}, {"RequiredBy": "nova-other.slice"}, {"FragmentPath": "/x"}])
def test_slices_above_go_when_nobody_is_in_them(ctl, holds):
    ctl.facts["nova.slice"] = {
        name: "" for name in ("Id", "LoadState", "ActiveState", "SubState", "MainPID", "Result",
                              "NeedDaemonReload")
    } | holds  # fmt: skip
    systemd.forget("nova-docker", ["openstack-it.service"])
    assert ctl.calls[:3] == [
        "stop nova-docker.slice",
        "daemon-reload",
        "reset-failed openstack-it.service",
    ]
    assert ("stop nova.slice" in ctl.calls) == (not holds)
