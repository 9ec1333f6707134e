# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""`doctor` on a real cloud: nothing where nothing is wrong, and what is planted by its name."""

import json
import shlex
import subprocess

import pytest
from tests.e2e.cloud import until


@pytest.fixture
def examined(cloud):
    def examine(*words):
        return {
            each["id"]: each
            for each in json.loads(cloud.control("doctor", "--json", *words, check=False).stdout)
        }

    return examine


def test_a_healthy_cloud_has_nothing(cloud, servers, examined):
    # Room that servers of the tests before gave back may still be on its way back; the machine's own name is
    # not the cloud's.
    def well():
        return {name for name, each in examined().items() if each["status"] != "ok"} <= {"own-name"}

    until(well, seconds=90, why="nothing is found")


def test_traffic_that_is_cut_off_is_named_and_put_right(own_cloud, servers, examined):
    rules = subprocess.run(["iptables", "-S", "FORWARD"], check=True, capture_output=True, text=True).stdout
    mark = f"nova-docker:{own_cloud.name}"
    for rule in rules.splitlines():
        if mark in rule:
            subprocess.run(["iptables", "-D", *shlex.split(rule)[1:]], check=True)
    found = examined()["forwarding"]
    assert found["status"] in ("warn", "fail")
    assert found["fix"] == "nova-docker up"
    assert own_cloud.control("status", check=False).returncode == 1
    own_cloud.control("up")
    assert examined()["forwarding"]["status"] == "ok"
