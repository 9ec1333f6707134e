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
from novadocker.host.bench.wanted import USUAL
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


def _judged(first, last, verdict="flat"):
    return {"first": first, "last": last, "per_100": (last - first) / 4, "verdict": verdict}


SOAK = {
    "count": 500,
    "base": 100,
    "failures": 1,
    "seconds": 900.0,
    "failed": [{"server": "uuid-of-one", "why": "ERROR: No valid host was found."}],
    "left": [],
    "logs": {"bytes_a_server": 20480, "first": 10485760, "last": 18874368, "bounded": True},
    "growth": {
        "pss_mib": {
            "all": _judged(800.0, 820.0),
            "glance": _judged(80.0, 96.0, "grows"),
            "mariadb": _judged(90.0, 90.5),
        },
        "things": {"mounts": _judged(12, 12)},
        "database_bytes": {"all": _judged(104857600, 125829120, "grows")},
        "unrotated_bytes": {"supervisor-start.log": _judged(100.0, 100.0)},
    },
}


def test_of_a_soak_sums_are_shown_and_of_services_those_that_grow():
    out = io.StringIO()
    report = {"format": 1, "machine": {}, "soak": SOAK, "ratios": {}}
    bench.show(report, None, console=Console(file=out, width=120))
    shown = [" ".join(line.split()) for line in out.getvalue().splitlines()]
    for line in (
        "soak after 100 after 500 per 100",
        "memory, MiB (PSS) 800.0 820.0 +5.00 flat",
        "memory, MiB (PSS) glance 80.0 96.0 +4.00 grows",
        "mounts 12.0 12.0 +0.00 flat",
        "MariaDB's files, MiB 100.0 120.0 +5.00 grows",
        "2 more, of single services and files do not grow",
        "not made: uuid-of-one: ERROR: No valid host was found.",
        "logs: 20.0 KiB a server; 10.0 MiB, then 18.0; all that grew rotate",
        "soak, failures 1.00",
        "soak, MiB (PSS) more after 100 servers 5.00",
    ):
        assert line in shown, shown
    assert not any("mariadb" in line for line in shown)


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


def test_how_many_come_and_go_and_how_many_are_idle_is_said_by_the_same_words(invoked):
    _, asked = invoked("--only", "soak", "--only", "idle")
    wanted = asked[0]
    assert wanted.parts == ("soak", "idle")
    assert (wanted.soak_servers, wanted.soak_at_once, wanted.idle_servers, wanted.at_once) == (
        500,
        4,
        100,
        10,
    )
    assert wanted.most == 100
    _, asked = invoked("--only", "soak", "--servers", "1000", "--at-once", "2")
    assert (asked[1].soak_servers, asked[1].soak_at_once, asked[1].most) == (1000, 2, 2)
    _, asked = invoked()
    assert (asked[2].parts, asked[2].servers, asked[2].most) == (USUAL, 20, 10)


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
