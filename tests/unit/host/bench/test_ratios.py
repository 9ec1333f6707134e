# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
import pytest

from novadocker.host.bench import ratios


def _batch(active, *, gone=1.0, own=None, last=None):
    return {
        "phases": {"ACTIVE": {"median": active}},
        "own": None if own is None else {"median": own},
        "gone": {"median": gone},
        "last": {"ACTIVE": last, "accepted": 0.5, "gone": 2.0} if last else {},
    }


REPORT = {
    "machine": {"cpus": 2, "memory_mib": 16000},
    "options": {"at_once": 10},
    "containers": {"one": _batch(1.2, own=0.6), "at_once": _batch(9.0, last=12.0)},
    "nothing": {"one": _batch(1.0), "at_once": _batch(8.0, last=10.0)},
    "docker": {"one": {"started": {"median": 0.4}}, "at_once": {"last": {"started": 2.0}}},
    "weight": {"control_plane_mib": 2800, "idle_percent": 7.5},
}


def test_the_ratios_of_the_targets_come_ready_made():
    found = ratios.within(REPORT)
    assert found["container / nothing"] == {"ratio": 1.2, "target": 1.3}
    assert found["driver's own share / docker create and start"] == {"ratio": 1.5, "target": 2.0}
    assert found["containers at once / nothing at once"] == {"ratio": 1.2, "target": 1.25}


def test_what_was_not_measured_has_no_ratio_and_no_figure():
    report = {name: part for name, part in REPORT.items() if name != "nothing"}
    assert "container / nothing" not in ratios.within(report)
    assert not any(name.startswith("VM") for name in ratios.figures(report))
    assert ratios.figures({"containers": {"one": {"own": None}}}) == {}


def test_two_runs_are_compared_in_what_both_have():
    before = {**REPORT, "containers": {"one": _batch(2.4), "at_once": _batch(9.0)}}
    compared = {each.name: each for each in ratios.compared(before, REPORT)}
    assert compared["container, ACTIVE"].ratio == pytest.approx(0.5)
    assert "container, the driver's own share" not in compared
    assert compared["nothing, ACTIVE"].ratio == 1


def test_a_figure_that_was_zero_has_no_ratio():
    zero = {"weight": {"idle_percent": 0}}
    (only,) = ratios.compared(zero, REPORT)
    assert (only.before, only.now, only.ratio) == (0, 7.5, None)


def test_runs_that_cannot_be_compared_plainly_are_told():
    other = {**REPORT, "machine": {"cpus": 4, "memory_mib": 16000}, "options": {"at_once": 50}}
    assert ratios.unlike(other, REPORT) == [
        "processors: 4 then, 2 now",
        "servers at once: 50 then, 10 now",
    ]
    assert ratios.unlike(REPORT, REPORT) == []
