# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""A boot as a real cloud wrote it is read phase by phase."""

import json
from collections import defaultdict
from datetime import datetime
from pathlib import Path

import pytest

from novadocker.host import journal
from novadocker.host.bench import phases

RECORDED = json.loads(Path(__file__).with_name("boot.json").read_text())
ASKED = datetime.fromisoformat(RECORDED["asked"])


def _entries(lines):
    by_service = defaultdict(list)
    for line in lines:
        service, _, text = line.partition(": ")
        by_service[service].append(text)
    return list(journal.joined([journal.entries(each, service=name) for name, each in by_service.items()]))


def _told(entries, **changed):
    wanted = {
        "server": RECORDED["server"], "request": RECORDED["request"], "asked": ASKED,
        "compute": "nova-docker", "libvirt": False, **changed,
    }  # fmt: skip
    return phases.told(entries, **wanted)


def test_every_phase_of_a_container_s_boot_has_its_moment():
    moments = _told(_entries(RECORDED["lines"])).moments
    assert {name: round(at, 2) for name, at in moments.items()} == {
        "scheduled": 0.41, "claimed": 0.52, "image": 0.89, "sandbox": 1.38, "container": 1.39,
        "port made": 1.22, "network allocated": 1.68, "plugged": 2.22, "network ready": 2.31,
        "vif event": 2.95, "started": 2.88,
    }  # fmt: skip


def test_an_event_that_comes_after_the_server_was_built_has_its_moment_too():
    early = [line.replace("00:24:27.069", "00:24:26.500") for line in RECORDED["lines"]]
    assert round(_told(_entries(early)).moments["vif event"], 2) == 2.95


def test_the_driver_s_own_share_is_without_the_time_it_waited_for_ports():
    told = _told(_entries(RECORDED["lines"]))
    assert told.spawn == 2.21
    assert told.own == pytest.approx(2.195 - 0.726)


def test_another_server_s_lines_say_nothing_of_this_one():
    foreign = [line.replace(RECORDED["server"], "0" * 8 + RECORDED["server"][8:])
               .replace(RECORDED["request"], "req-" + "0" * 8 + RECORDED["request"][12:])
               for line in RECORDED["lines"]]  # fmt: skip
    both = _told(_entries([*foreign, *RECORDED["lines"]]))
    assert both == _told(_entries(RECORDED["lines"]))
    assert _told(_entries(foreign)).moments == {}


def test_a_driver_that_tells_no_steps_of_its_own_has_no_own_share():
    silent = [line for line in RECORDED["lines"] if "Built: " not in line]
    told = _told(_entries(silent), libvirt=True)
    assert told.own is None
    assert round(told.moments["started"], 2) == 3.08
    assert "sandbox" not in told.moments


def test_spreads_are_in_the_order_of_phases_and_of_what_was_seen():
    seen = phases.spreads([{"ACTIVE": 3.0, "accepted": 0.25}, {"accepted": 0.75}, {"accepted": 0.5}])
    assert list(seen) == ["accepted", "ACTIVE"]
    assert seen["accepted"] == {"median": 0.5, "low": 0.25, "high": 0.75}
    assert seen["ACTIVE"] == {"median": 3.0, "low": 3.0, "high": 3.0}
    assert phases.spread([]) is None
