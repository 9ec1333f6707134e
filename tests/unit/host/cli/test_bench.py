# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""The tables of `nova-docker bench`."""

import io
import json
import signal

import pytest
from click.testing import CliRunner
from rich.console import Console
from tests.fakes import clouds

from novadocker.errors import NovaDockerError
from novadocker.host.bench import measure, ratios
from novadocker.host.cli import bench, main, needs

SPREAD = {"median": 1.5, "low": 1.25, "high": 2.0}
BATCH = {
    "count": 3,
    "phases": {"accepted": SPREAD, "ACTIVE": SPREAD},
    "spawn": SPREAD,
    "own": None,
    "gone": SPREAD,
    "processor": {"seconds_a_server": 3.5},
}
REPORT = {
    "format": 1,
    "machine": {"cpus": 2, "memory_mib": 16000},
    "options": {"at_once": 10},
    "containers": {"one": BATCH, "at_once": {**BATCH, "last": {"accepted": 1.0, "ACTIVE": 9.0, "gone": 2.0}}},
    "nothing": {"one": BATCH, "at_once": {**BATCH, "last": {"accepted": 1.0, "ACTIVE": 6.0, "gone": 2.0}}},
}  # fmt: skip
REPORT["ratios"] = ratios.within(REPORT)


def _shown(before=None) -> list[str]:
    out = io.StringIO()
    bench.show(REPORT, before, console=Console(file=out, width=120))
    return [" ".join(line.split()) for line in out.getvalue().splitlines()]


def test_a_table_has_each_phase_with_its_spread_both_ways():
    assert "ACTIVE 1.50 s 1.25, 2.00 1.50 s 1.25, 2.00" in _shown()


def test_what_a_driver_does_not_tell_has_no_row():
    assert not any(line.startswith("driver's own") for line in _shown())


def test_ratios_stand_beside_their_targets():
    assert "containers at once / nothing at once 1.50 ≤ 1.25" in _shown()


def test_compared_with_an_earlier_run_the_figures_stand_side_by_side():
    shown = _shown({**REPORT, "nothing": {}, "options": {"at_once": 50}})
    assert "containers at once, last ACTIVE 9.00 9.00 1.00" in shown
    assert not any(line.startswith("nothing,") for line in shown)
    assert "The two runs differ in servers at once: 50 then, 10 now." in shown


@pytest.fixture
def invoked(monkeypatch, tmp_path):
    """Run the verb with a measurement that only notes what was wanted."""
    asked = []

    def run(config, cloud, wanted, *, say):
        asked.append(wanted)
        return REPORT

    monkeypatch.setattr(needs, "root", lambda: None)
    monkeypatch.setattr(needs, "a_cloud", lambda config: clouds.cloud())
    monkeypatch.setattr(measure, "run", run)

    def invoke(*words):
        done = CliRunner().invoke(main.cli, ["bench", *words])
        return done, asked

    return invoke


def test_quick_is_fewer_and_less_and_every_number_can_still_be_said(invoked):
    _, asked = invoked("--quick", "--at-once", "7")
    assert (asked[0].parts, asked[0].servers, asked[0].at_once) == (("containers", "docker"), 5, 7)


def test_usually_no_second_cloud_is_made(invoked):
    _, asked = invoked()
    assert "cycle" not in asked[0].parts
    _, asked = invoked("--only", "cycle")
    assert asked[1].parts == ("cycle",)


def test_coming_and_going_is_measured_without_a_cloud(invoked, monkeypatch):
    def refuse(config):
        raise NovaDockerError("There is no cloud.")

    monkeypatch.setattr(needs, "a_cloud", refuse)
    done, asked = invoked("--only", "cycle")
    assert (done.exception, len(asked)) == (None, 1)
    done, _ = invoked("--only", "cycle", "--only", "weight")
    assert isinstance(done.exception, NovaDockerError)


def test_told_to_end_it_unwinds(invoked, monkeypatch):
    unwound = []

    def run(*_, **__):
        try:
            signal.raise_signal(signal.SIGTERM)
        finally:
            unwound.append(True)

    monkeypatch.setattr(measure, "run", run)
    before = signal.getsignal(signal.SIGTERM)
    done, _ = invoked()
    assert (done.exit_code, unwound) == (128 + signal.SIGTERM, [True])
    assert signal.getsignal(signal.SIGTERM) == before


def test_it_is_saved_and_told_as_json(invoked, tmp_path):
    done, _ = invoked("--json", "--save", str(tmp_path / "a.json"))
    assert json.loads(done.output) == json.loads((tmp_path / "a.json").read_text()) == REPORT


@pytest.mark.parametrize("text", ["no json", "[]", '{"boots": []}'])
def test_another_file_is_refused_before_anything_is_measured(invoked, tmp_path, text):
    (tmp_path / "old.json").write_text(text)
    done, asked = invoked("--compare", str(tmp_path / "old.json"))
    assert isinstance(done.exception, NovaDockerError)
    assert "is no report of `nova-docker bench`" in str(done.exception)
    assert asked == []
