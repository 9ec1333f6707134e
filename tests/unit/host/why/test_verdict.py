# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""Each failure is named from what a real cloud wrote when it was planted there."""

from dataclasses import replace
from datetime import timedelta

import pytest
from tests.fakes import cases

from novadocker.host.why import verdict

ENDED = {
    "name": "nova-x", "status": "exited", "exit": 3, "out_of_memory": False, "error": "", "last": [],
    "started": "2026-11-22T20:40:00Z", "finished": "2026-11-22T20:40:08Z",
}  # fmt: skip
OOM = {**ENDED, "exit": 137, "out_of_memory": True}
NO_COMMAND = {**ENDED, "exit": 127, "last": ["[FATAL tini (7)] exec /bin/nothing failed: No such file"]}
LAST_LINE = {**ENDED, "last": ["no database"]}
CRASHED = {
    "state": "shut off (crashed)",
    "last": ["2026-11-22 20:46:11.990+0000: shutting down, reason=crashed"],
}
STOPPED = {"state": "STOPPED", "pid": 0}
DISABLED = [{**cases.COMPUTES[1], "status": "disabled", "reason": "maintenance"}]

# By recording: what else was seen, the rule, words of the sentence, of the evidence and of the fix.
PLANTED = [
    ("cut", {}, "image-unacceptable", "p-cut (5e234596", "Glance: image p-cut", "docker save"),
    ("nocmd", {"container": NO_COMMAND}, "command-not-found", "/bin/nothing failed", "exit code 127",
     "os_command_line"),
    ("oom", {"container": OOM}, "out-of-memory", "flavor m1.tiny has (128 MB)",
     "The kernel killed a process", "--flavor m1.small"),
    ("exit", {"container": LAST_LINE}, "process-ended", "exit code 3; its last line: no database",
     "Instance shutdown by itself", "openstack server start"),
    ("huge-container", {}, "flavor-too-big", "asks for 900000 MB of memory, and machine-docker",
     "Placement: machine-docker offers 10004", "--flavor m1.large"),
    ("huge-machine", {}, "flavor-too-big", "machine, the host of VMs, has 10004",
     "Got no allocation candidates", "--flavor m1.large"),
    ("badkernel", {}, "kernel-not-bootable", "kernel image 1f74792f-b7a1-47da-8e78-03b8af0d3331): invalid",
     "qemu: invalid kernel header", "--container-format aki"),
    ("chassis-container", {}, "network-part-down", "ovn-controller was stopped",
     "ovn-controller did not install port", "nova-docker up"),
    ("chassis-machine", {}, "network-part-down", "ovn-controller was stopped",
     "Timeout waiting for ['network-vif-plugged", "nova-docker up"),
    ("frozen-machine", {"supervised": cases.running(ovn_controller={"frozen": True, "pid": 4711})},
     "network-part-frozen", "ovn-controller (process 4711) is stopped by a signal", "state T",
     "kill -CONT 4711"),
    ("frozen-machine", {}, "port-late", "though all parts of the network ran", "no part of the network was",
     "nova-docker doctor"),
    ("dockerd", {}, "service-down", "dockerd was stopped", "docker.sock", "nova-docker up"),
    ("libvirtd", {}, "hypervisor-daemon-down", "libvirtd was stopped, so machine, the only host of VMs",
     "ImageKindFilter returned 0 hosts", "nova-docker up"),
    ("disabled", {"computes": DISABLED}, "host-disabled", "is disabled ('maintenance')",
     "nova-compute on machine-docker is disabled", "service set --enable machine-docker"),
    ("conductor", {"supervised": cases.running(nova_conductor=STOPPED)}, "waits-for-service",
     "nova-conductor, which has to do that, is stopped", "task scheduling", "nova-docker up"),
    ("nocompute", {"supervised": cases.running(nova_docker=STOPPED)}, "waits-for-service",
     "nova-docker on machine-docker, which", "PUT /allocations", "nova-docker up"),
    ("deleting", {"supervised": cases.running(nova_docker=STOPPED)}, "waits-for-service",
     "to be deleted, and nova-docker on machine-docker", "task deleting", "nova-docker up"),
    ("killq", {"domain": CRASHED}, "qemu-ended", "killed or crashed", "reason=crashed", "server start"),
    ("rmc", {}, "container-removed", "Somebody removed its container", "behind Nova's back",
     "reboot --hard"),
    ("noaddr", {}, "no-addresses", "has no free address left", "No more", "port list --network"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "parts", "rule", "sentence", "evidence", "fix"),
    PLANTED,
    ids=[f"{each[0]}-{each[2]}" for each in PLANTED],
)
def test_a_planted_failure_is_named(name, parts, rule, sentence, evidence, fix):
    found = verdict.judge(cases.case(name, **parts))
    assert found.rule == rule
    assert found.wrong
    assert sentence in found.sentence
    assert evidence in "\n".join(found.evidence)
    assert fix in found.fix


@pytest.mark.parametrize("name", sorted({each[0] for each in PLANTED}))
def test_novas_own_words_are_never_the_cause(name):
    found = verdict.judge(cases.case(name))
    assert "Exhausted all hosts" not in found.sentence
    assert "No valid host" not in found.sentence


def test_a_host_that_is_well_again_is_no_cause():
    found = verdict.judge(cases.case("disabled"))
    assert found.rule == "unknown"
    assert "ImageKindFilter returned 0 hosts" in found.sentence
    assert any("nova-scheduler" in each for each in found.looked)


def test_a_failure_no_rule_knows_is_unknown_and_says_what_was_looked_at():
    case = cases.case("badkernel")
    entries = [each for each in case.entries if "kernel header" not in each.text]
    found = verdict.judge(type(case)(id=case.id, seen=case.seen, entries=entries, upkeep=()))
    assert found.rule == "unknown"
    assert found.wrong
    assert any("nova-conductor" in each for each in found.looked)
    assert found.fix.startswith(f"nova-docker logs {case.id}")


def test_a_good_server_has_its_boot_by_phase():
    for name, runs in (("good-c", "process started"), ("good-m", "VM runs")):
        up = {"container": {"status": "running"}}
        found = verdict.judge(cases.case(name, **up))
        assert (found.rule, found.wrong) == ("well", False)
        phases = [phase.name for phase in found.timeline]
        assert phases[:3] == ["accepted", "scheduled", "claimed"]
        assert {"port made", "plugged", "network ready, told to Nova", runs} <= set(phases)
        assert phases[-1] == "ACTIVE"
        times = [phase.at for phase in found.timeline]
        assert times == sorted(times)
        assert 1 < times[-1] < 15


def test_an_active_server_whose_container_is_off_is_not_well():
    found = verdict.judge(cases.case("good-c", container={"status": "exited"}))
    assert found.rule == "active-but"
    assert found.wrong


def test_without_apis_the_logs_alone_name_it():
    down = {"server": "an API did not answer", "actions": "the same"}
    found = verdict.judge(cases.case("chassis-container", missing=down))
    assert found.status == "UNKNOWN"
    assert found.rule == "network-part-down"


def test_an_outage_that_was_over_before_is_no_cause():
    """Seen: one test stopped the chassis, the next froze it four seconds after it ran again."""
    case = cases.case("chassis-container")
    before = tuple(
        replace(each, time=case.began - timedelta(seconds=seconds))
        for each, seconds in zip(case.upkeep, (45, 45, 4, 3), strict=True)
    )
    found = verdict.judge(replace(case, upkeep=before))
    assert found.rule == "port-late"


def test_without_the_supervisors_log_what_does_not_run_now_counts():
    parts = {"supervised": cases.running(ovn_controller=STOPPED)}
    case = cases.case("chassis-container", **parts)
    found = verdict.judge(type(case)(id=case.id, seen=case.seen, entries=case.entries))
    assert found.rule == "network-part-down"
    assert found.sentence.startswith("ovn-controller does not run: ")


def test_a_stop_on_request_is_nothing_wrong():
    case = cases.case("good-c")
    asked = {
        "action": "stop",
        "request": "req-1",
        "start": "2026-11-22T20:50:00",
        "message": None,
        "events": [],
    }
    server = {**case.server, "status": "SHUTOFF"}
    parts = {"server": server, "actions": [*case.seen["actions"], asked], "container": ENDED}
    found = verdict.judge(cases.case("good-c", **parts))
    assert (found.rule, found.wrong) == ("on-request", False)
    assert found.fix == f"openstack server start {case.id}"


def test_an_action_that_failed_is_noted():
    asked = {"action": "resize", "request": "req-1", "start": "2026-11-22T20:50:00", "message": "Error",
             "events": [{"details": "No room"}]}  # fmt: skip
    found = verdict.judge(cases.case("good-c", actions=[asked], container={"status": "running"}))
    assert found.rule == "well"
    assert found.notes == ("resize at 20:50:00 failed: No room",)
