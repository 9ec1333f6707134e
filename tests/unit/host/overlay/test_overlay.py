# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""From a made-up host to the folder an operator reads."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from tests import goldens
from tests.fakes import compute_hosts

from novadocker import oci_runtime
from novadocker.host.overlay import decide, model, papers
from novadocker.host.overlay.model import Overlay, Wanted

OVS = {
    "text": compute_hosts.DIVIDED,
    "external_ids": {},
    "agents": ("neutron-openvswitch-agent",),
    "neutron": compute_hosts.conf("[DEFAULT]\nhost = compute1-l2\n[agent]\ntunnel_types = vxlan\n"),
    "program": Path("/usr/bin/nova-compute"),
    "ids": {"/etc/nova/compute_id": "8a2d0f1e-0000-0000-0000-000000000000"},
    "engine": {"Driver": "overlay2", "SecurityOptions": ["name=seccomp"], "containers": 3},
}
HOSTS = {
    "ovn": (Wanted(), {}),
    "ovs": (Wanted(docker_socket=Path("/run/docker.sock"), cpus=2, memory_mb=4000, disk_gb=20), OVS),
}


def rendered(wanted: Wanted | None = None, /, **seen) -> Overlay:
    return papers.write(decide.decide(wanted or Wanted(), compute_hosts.seen(**seen)))


def facts(found: Overlay) -> dict[str, tuple[str, str]]:
    return {fact.what: (fact.value, fact.source) for fact in found.facts}


def text(found: Overlay, name: str) -> str:
    return next(file.content for file in found.files if file.name == name)


def stopped_by(found: Overlay) -> str:
    return "\n".join(problem.what for problem in found.problems if problem.stops)


@pytest.mark.parametrize("name", HOSTS)
def test_the_files_are_as_reviewed(golden, name):
    wanted, seen = HOSTS[name]
    found = rendered(wanted, **seen)
    for file in found.files:
        if file.name != model.RUNTIME.name:
            golden(f"overlay/{name}/{file.name}", file.content)
    kept = {path.name for path in (goldens.FOLDER / "overlay" / name).iterdir()}
    assert kept == {file.name for file in found.files} - {model.RUNTIME.name}


def test_the_runtime_is_the_package_s_own():
    assert text(rendered(), "runtime").endswith(Path(oci_runtime.__file__).read_text())


@pytest.mark.parametrize("name", HOSTS)
def test_no_password_comes_out(name):
    wanted, seen = HOSTS[name]
    assert compute_hosts.PASSWORD not in json.dumps(rendered(wanted, **seen).to_dict())


def test_a_host_like_any_other_has_nothing_in_the_way():
    found = rendered()
    assert found.works
    assert found.problems == ()


def test_each_fact_names_its_source():
    found = facts(rendered())
    assert found["this host in Neutron"] == (
        "compute1.example",
        "Open vSwitch's external_ids: hostname, the chassis' name",
    )
    assert found["network backend"][0] == "ovn"
    assert "ssl:controller:6642" in found["network backend"][1]
    assert found["this host in Nova"] == ("compute1", "/etc/nova/nova.conf")
    assert all(source for _, source in found.values())


def test_options_go_before_what_is_found():
    found = facts(rendered(Wanted(host="docks", binding_host="compute1.example", memory_mb=1000)))
    assert found["the docker service's host"] == ("docks", "--host")
    assert found["this host in Neutron"] == ("compute1.example", "--binding-host")
    assert found["memory for containers, MiB"] == ("1000", "--memory")


def test_the_folder_says_what_is_in_the_way():
    wanted, seen = HOSTS["ovs"]
    readme = text(rendered(wanted, **seen), "README.txt")
    assert "no userns-remap" in readme
    assert "/etc/nova/compute_id is there" in readme


def test_undoing_all_takes_away_each_file_that_was_put_somewhere():
    for wanted, seen in HOSTS.values():
        found = rendered(wanted, **seen)
        done = "\n".join(command.line for step in found.steps for command in step.do)
        undone = "\n".join(command.line for step in found.steps for command in step.undo)
        for file in found.files:
            if file.place:
                assert f"{file.name} {file.place}" in done
                assert str(file.place) in undone


def test_every_step_has_a_check_and_an_undo():
    for wanted, seen in HOSTS.values():
        for step in rendered(wanted, **seen).steps:
            assert step.check, step.title
            assert step.undo, step.title


def test_a_filter_that_is_there_is_left_alone():
    section = (
        "[filter_scheduler]\nenabled_filters = ComputeFilter,ImageKindFilter\n"
        "available_filters = nova.scheduler.filters.all_filters\n"
        f"available_filters = {decide.FILTER}\n"
    )
    found = rendered(Wanted(scheduler_conf=Path("s")), scheduler=compute_hosts.conf(section))
    (step,) = [step for step in found.steps if step.title == "The scheduler's filter"]
    assert step.do == ()
    assert (
        text(found, "scheduler.conf.add").count("available_filters = ") == 4
    )  # what it has, and what it gets


@pytest.mark.parametrize(
    ("wanted", "seen", "words"),
    [
        ({}, {"text": ""}, "names no message bus"),
        ({}, {"text": compute_hosts.NOVA_CONF.replace("[placement]", "[other]")}, "no [placement]"),
        ({"host": "compute1"}, {}, "would be called compute1"),
        ({}, {"program": None}, "no nova-compute here"),
        ({"backend": "ovn"}, {"external_ids": {}}, "no OVN chassis"),
        ({"binding_host": "elsewhere"}, {}, "calls itself compute1.example, not elsewhere"),
        ({}, {"agents": ("neutron-openvswitch-agent", "ovn-controller")}, "deletes the other's flows"),
        ({"host": "new"}, {"earlier": compute_hosts.conf("host = old")}, "is old already"),
        (
            {},
            {
                "text": compute_hosts.NOVA_CONF.replace("state_path", "other_path"),
                "ids": {"/etc/nova/compute_id": "x"},
            },
            "compute_id is there",
        ),
    ],
)
def test_what_must_be_solved_first(wanted, seen, words):
    found = rendered(replace(Wanted(), **wanted), **seen)
    assert words in stopped_by(found)
    assert not found.works
    assert all(problem.do for problem in found.problems)


def test_a_name_once_given_is_kept():
    found = rendered(earlier=compute_hosts.conf("[DEFAULT]\nhost = docker7\n"))
    assert facts(found)["the docker service's host"][0] == "docker7"


def test_without_libvirt_containers_have_it_all():
    docker_only = compute_hosts.NOVA_CONF.replace("compute_driver", "#")
    found = rendered(text=docker_only, runs_libvirt=False)
    assert "libvirt.conf.add" not in {file.name for file in found.files}
    assert "reserved_host_memory_mb = 512\n" in text(found, "nova-docker.conf")
    assert "reserved_host_cpus = 0\n" in text(found, "nova-docker.conf")
