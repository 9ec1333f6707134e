# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""The instrument measures what it says, and leaves nothing; nor does one that was killed."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

NOVA_DOCKER = Path(sys.executable).with_name("nova-docker")
PARTS = ("weight", "containers", "docker", "virsh", "nothing")


def _traces(cloud):
    """All there is in the cloud that the instrument makes."""
    connection = cloud.connection
    compute, placement = connection.compute, connection.placement
    return {
        "servers": [each.name for each in compute.servers(all_projects=True)],
        "flavors": sorted(each.name for each in compute.flavors(is_public=None)),
        "images": sorted(each.name for each in connection.image.images()),
        "services": sorted((each.binary, each.host) for each in compute.services()),
        "providers": sorted(each.name for each in placement.resource_providers()),
        "classes": sorted(
            each.name for each in placement.resource_classes() if each.name.startswith("CUSTOM_")
        ),
        "files": sorted(
            str(path)
            for folder in (cloud.root / "etc", cloud.root / "data", cloud.run_dir)
            for pattern in ("bench", "*nothing*")
            for path in folder.rglob(pattern)
        ),
    }


def _bench(cloud, *words):
    where = ["--name", cloud.name, "--root", cloud.root, "--run-dir", cloud.run_dir]
    return [NOVA_DOCKER, *where, "bench", *words]


@pytest.fixture(scope="module")
def before(cloud):
    return _traces(cloud)


@pytest.fixture(scope="module")
def killed(cloud, before):
    """What a run has left that was killed while its nova-compute that does nothing ran."""
    command = _bench(cloud, "--only", "nothing", "--servers", "1", "--at-once", "1")
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as running:
        for line in running.stderr:
            if line.startswith("nothing 1 of 1"):
                break
        running.send_signal(signal.SIGKILL)
        rest = running.stderr.read()
    assert running.returncode == -signal.SIGKILL, rest
    return _traces(cloud)


@pytest.fixture(scope="module")
def report(cloud, killed, tmp_path_factory):
    file = tmp_path_factory.mktemp("bench") / "report.json"
    only = [word for part in PARTS for word in ("--only", part)]
    done = cloud.control(
        "bench", "--servers", "1", "--at-once", "2", "--rounds", "2", "--vms", "1", *only, "--save", str(file)
    )
    return json.loads(file.read_text()) | {"table": done.stdout}


def test_a_killed_run_leaves_something_to_remove(before, killed):
    assert killed["classes"]
    assert killed["providers"] != before["providers"]


def test_the_next_run_has_removed_it_with_its_own(cloud, before, report):
    assert _traces(cloud) == before


# What may go on at the same time has no order.
ORDERS = (
    ("accepted", "ACTIVE"),
    ("scheduled", "claimed", "image", "container", "started", "ACTIVE", "answers"),
    ("claimed", "sandbox", "container"),
    ("claimed", "port made", "network allocated", "plugged", "network ready", "started"),
)


def test_every_phase_of_a_container_was_seen_in_its_order(report):
    for batch, count in (("one", 1), ("at_once", 4)):
        seen = report["containers"][batch]
        assert len(seen["servers"]) == count
        for boot in seen["servers"]:
            for order in ORDERS:
                moments = [boot[name] for name in order]
                assert moments == sorted(moments), (order, boot)
            assert boot["gone"] > 0
        assert 0 < seen["own"]["median"] < seen["spawn"]["median"]


def test_watching_costs_nearly_nothing(report):
    for batch in ("one", "at_once"):
        assert report["containers"][batch]["processor"]["watching_percent"] < 2
        asked = report["containers"][batch]["asked_after"]  # none where all were late to answer
        assert asked is None or asked["median"] < 0.5


def test_the_floors_lie_below_what_stands_on_them(report):
    active = report["containers"]["one"]["phases"]["ACTIVE"]["median"]
    assert 0 < report["docker"]["one"]["started"]["median"] < active
    assert report["nothing"]["one"]["phases"]["ACTIVE"]["median"] > 0
    assert report["virsh"]["one"]["started"]["median"] > 0
    assert {"container / nothing", "driver's own share / docker create and start"} <= set(report["ratios"])


def test_servers_that_are_there_are_weighed(report):
    weight = report["weight"]
    assert weight["control_plane_mib"] > 0
    assert weight["servers"] == 2, "those of one round"
    assert weight["server_own_mib"] > 0, "the container's own processes were running"


def test_the_table_tells_it(report):
    for words in ("containers", "sandbox", "driver's own share", "container / nothing", "≤ 1.3"):
        assert words in report["table"]


@pytest.fixture(scope="module")
def many(cloud, report, tmp_path_factory):
    """A short run of the parts that take long."""
    file = tmp_path_factory.mktemp("many") / "report.json"
    soaked = cloud.control("bench", "--only", "soak", "--servers", "6", "--at-once", "2", "--save", str(file))
    found = json.loads(file.read_text()) | {"table": soaked.stdout}
    idle = cloud.control("bench", "--only", "idle", "--servers", "3", "--at-once", "2", "--json")
    return found | {"idle": json.loads(idle.stdout)["idle"]}


def test_of_servers_that_came_and_went_nothing_is_left(many):
    soak = many["soak"]
    assert (soak["count"], soak["failures"], soak["failed"], soak["left"]) == (6, 0, [], [])
    assert [each["servers"] for each in soak["samples"]] == [0, 2, 4, 6]
    things = [each["figures"]["things"] for each in soak["samples"]]
    assert len({each["containers"] for each in things}) == 1, things
    assert all(each[name] > 0 for each in things for name in ("network namespaces", "switch ports")), things
    assert {"all", "nova-docker", "neutron", "mariadb"} <= set(soak["growth"]["descriptors"])
    assert soak["growth"]["pss_mib"]["all"]["verdict"] == "too few samples"
    assert soak["growth"]["seconds"]["ACTIVE"]["first"] > 0
    assert soak["logs"]["bytes_a_server"] > 0
    assert soak["logs"]["bounded"]
    for words in ("open files", "containers", "a server", "soak, seconds"):
        assert words in many["table"]


def test_idle_servers_all_answer_and_are_weighed(many):
    idle = many["idle"]
    assert (idle["count"], idle["answered"]) == (3, 3)
    assert idle["last"]["ACTIVE"] > 0
    assert idle["last"]["gone"] > 0
    assert idle["memory"]["servers"] == 3
    assert idle["memory"]["server_own_mib"] > 0
    assert 0 < idle["idle_percent"] < 200


def test_neither_leaves_anything(cloud, before, many):
    assert _traces(cloud) == before
