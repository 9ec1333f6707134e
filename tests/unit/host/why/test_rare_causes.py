# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""Causes that are rare, or dear to plant: what a real cloud wrote of a neighbouring one, with other facts."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from tests.fakes import cases

from novadocker.host.journal import Entry
from novadocker.host.why import verdict
from novadocker.host.why.case import Case

ABORTED = "Build of instance 5588d6e6-9608-4c96-9fd5-1c937704c20f aborted: "
IMAGE = "5e234596-9a28-4d45-904e-a76577b983b9"
FULL = [
    {**each, "offers": {**each["offers"], "MEMORY_MB": {"capacity": 10004, "most": 24105, "used": 9950}}}
    for each in cases.PROVIDERS
]
DOWN = [{**cases.COMPUTES[1], "state": "down"}]
OFF = {
    "state": "shut off (shutdown)",
    "last": ["2026-11-22 20:46:11.990+0000: shutting down, reason=shutdown"],
}


def fault(text: str) -> dict[str, Any]:
    return {"code": 500, "created": "2026-11-22T20:45:59Z", "message": text}


def changed(name: str, *, words: dict[str, str], server: dict[str, Any], **parts: Any) -> Case:
    """A recorded case in which services wrote other words, and Nova knows other things of the server.

    :param words: by what was written, what is in its place.
    """
    case = cases.case(name)
    found = cases.case(name, server={**case.server, **server}, **parts)
    entries = list(found.entries)
    for before, now in words.items():
        assert any(before in each.text for each in entries)
        entries = [replace(each, text=each.text.replace(before, now)) for each in entries]
    return replace(found, entries=tuple(entries))


# By recording: other words, other facts of the server, other parts; the rule, and words of its sentence.
RARE = [
    ("nocompute", {}, {"status": "ERROR", "task": None, "host": "machine-docker"}, {},
     "build-interrupted", "nova-docker was stopped while it built the server"),
    ("conductor", {}, {"status": "ERROR", "task": None,
                       "fault": fault(f"{ABORTED}the service that was at work on it ended meanwhile. …")}, {},
     "build-lost", "nova-conductor was stopped when it had the request"),
    ("nocompute", {}, {}, {"now": "2026-11-22T20:46:20+00:00"},
     "message-lost", "nova-docker was stopped after it was told"),
    ("conductor", {}, {}, {"now": "2026-11-22T21:45:18+00:00"},
     "nobody-works-on-it", "nobody has worked on it for 60 min"),
    ("conductor", {}, {}, {}, "under-way", "all who work on it run"),
    ("huge-container", {}, {"flavor": cases.FLAVORS[0]}, {"providers": FULL},
     "host-full", "has 54 MB of memory free of 10004, and its flavor m1.tiny asks for 128"),
    ("disabled", {"ImageKindFilter": "ComputeFilter"}, {}, {"computes": DOWN},
     "host-down", "nova-compute on machine-docker, the only host of containers, did not run"),
    ("disabled", {"ImageKindFilter": "ImagePropertiesFilter"}, {}, {},
     "filtered", "asks for an architecture or hypervisor that no host has"),
    ("cut", {}, {"fault": fault(f"{ABORTED}Image {IMAGE} could not be found.")}, {},
     "image-gone", f"Image {IMAGE} is not in Glance any more"),
    ("cut", {}, {"fault": fault(f"{ABORTED}Flavor's disk is too small for requested image. Flavor disk is "
                                "1073741824 bytes, image is 2147483648 bytes.")}, {},
     "image-larger-than-disk", "a root disk of 1024 MiB and it takes 2048 MiB"),
    ("cut", {"is unacceptable": "is odd"}, {"fault": fault(f"{ABORTED}docker:shm_size is no number.")}, {},
     "driver-refused", "docker:shm_size is no number."),
    ("badkernel", {"invalid kernel header": "cannot set up guest memory: Cannot allocate memory"}, {}, {},
     "qemu-refused", "cannot set up guest memory"),
    ("killq", {}, {}, {"domain": OFF}, "guest-shut-down", "Somebody inside shut the VM down"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "words", "server", "parts", "rule", "sentence"), RARE, ids=[each[4] for each in RARE]
)
def test_a_rare_cause_is_named(name, words, server, parts, rule, sentence):
    found = verdict.judge(changed(name, words=words, server=server, **parts))
    assert found.rule == rule, found
    assert sentence in found.sentence
    assert found.wrong == (rule not in ("under-way", "guest-shut-down"))


@pytest.mark.parametrize(
    ("words", "rule", "sentence"),
    [
        ("no OVN chassis for host: elsewhere", "no-chassis",
         "no network agent called 'elsewhere', to which its port was to be bound; OVN's chassis calls"),
        ("Refusing to bind port x to dead agent", "no-chassis", "took the host's network agent for dead"),
        ("host machine not supporting physical network: lab", "no-bridge", "physical network lab"),
    ],
)  # fmt: skip
def test_what_neutron_refused_is_named(words, rule, sentence):
    case = cases.case("frozen-machine")
    first = next(each for each in case.entries if each.service == "neutron")
    told = replace(first, text=f"2026-11-22 20:44:00.000 1 WARNING neutron.plugins.ml2 [-] {words}")
    found = verdict.judge(replace(case, entries=(told, *case.entries)))
    assert (found.rule, found.wrong) == (rule, True), found
    assert sentence in found.sentence


def test_an_outage_that_was_over_is_less_than_a_part_that_is_frozen():
    frozen = cases.running(ovn_controller={"frozen": True, "pid": 4711})
    case = cases.case("frozen-machine", supervised=frozen)
    upkeep = tuple(
        Entry(time=case.began - timedelta(seconds=ago), service="supervisor", level="info", text=text)
        for ago, text in (
            (9, "stopped: ovn-controller (terminated by SIGKILL)"),
            (0, "success: ovn-controller entered RUNNING state"),
        )
    )
    assert verdict.judge(replace(case, upkeep=upkeep)).rule == "network-part-frozen"
    assert verdict.judge(replace(case, upkeep=upkeep[:1])).rule == "network-part-down"


def test_a_build_that_was_lost_while_nobody_is_known_to_have_ended_accuses_nobody():
    """Who had it may have ended before the supervisor's log begins."""
    lost = fault(f"{ABORTED}the service that was at work on it ended meanwhile. …")
    case = changed("conductor", words={}, server={"status": "ERROR", "task": None, "fault": lost})
    found = verdict.judge(replace(case, upkeep=()))
    assert found.rule == "build-lost"
    assert found.sentence.startswith("A service ended when it had the request")


@pytest.mark.parametrize(
    ("name", "server"),
    [
        # An administrator set it to ERROR: there is no fault, and nobody ended.
        ("good-c", {"status": "ERROR", "fault": None, "launched": None}),
        ("cut", {"fault": fault("Unexpected error.")}),
    ],
)
def test_what_no_rule_knows_is_unknown(name, server):
    case = changed(name, words={}, server=server)
    quiet = tuple(each for each in case.entries if each.level != "error")
    found = verdict.judge(replace(case, entries=quiet))
    assert (found.rule, found.wrong) == ("unknown", True), found
