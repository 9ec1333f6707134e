# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""Servers come and go, whatever fails is told, and the others go on."""

import os
from pathlib import Path

import pytest

from novadocker.errors import NovaDockerError
from novadocker.host.bench import samples, soak
from novadocker.host.bench.growth import ALL, FLAT, GROWS, Sample
from novadocker.host.bench.news import ACTIVE, FAILED, GONE
from novadocker.host.bench.servers import Asked, Kind
from novadocker.host.bench.watcher import Watcher
from novadocker.host.bench.weight import HOLDERS, SERVERS

KIND = Kind(name="container", image="i", flavor="f", network="n")


class Nova:
    """The API, and what the services write of it.

    :ivar refused, broken, staying: names of servers that are not accepted, not made, or do not go.
    """

    def __init__(self):
        self.refused, self.broken, self.staying = set(), set(), set()
        self.there, self.most = {}, 0

    def create(self, name, kind):
        if name in self.refused:
            raise NovaDockerError(f"Nova refused the server {name}.")
        self.there[name] = "ERROR" if name in self.broken else "ACTIVE"
        self.most = max(self.most, len(self.there))
        return Asked(id=name, began=1000.0, accepted=0.1, request="req")

    def delete(self, server):
        if server not in self.staying:
            self.there.pop(server)
        return 1010.0

    def look(self, server):
        return {"status": self.there[server]} if server in self.there else None

    def state(self, server):
        return self.there.get(server, "gone"), "No valid host was found."

    def statuses(self):
        return dict(self.there)

    def wait(self, server, wanted, *, seconds):
        if server not in self.there:
            return GONE if GONE in wanted else None
        word = FAILED if server in self.broken else ACTIVE
        return word if word in wanted else None

    def moment(self, server, word):
        return 1001.5


class Sampler:
    """Notes what Nova had when a sample was taken."""

    def __init__(self, nova):
        self.nova, self.seen = nova, []

    def take(self, servers, *, seconds=None):
        self.seen.append((servers, len(self.nova.there), seconds))
        return _sample(servers)


def _sample(servers, **more):
    figures = {
        "pss_mib": {ALL: 800.0},
        "descriptors": {ALL: 900},
        "things": {"mounts": 4},
        "log_bytes": {ALL: 2048 * servers},
        "unrotated_bytes": {"supervisor-start.log": 100},
    }
    return Sample(servers=servers, figures={**figures, **more})


@pytest.fixture
def nova(monkeypatch):
    monkeypatch.setattr(soak, "_SETTLED", 0)
    monkeypatch.setattr(soak, "_LEFT_SECONDS", 0)
    return Nova()


def _measure(nova, *, count, at_once=2):
    watcher = Watcher(api=nova, news=nova, scales=None, logs={}, lookout=None, compute="nova-docker")
    sampler, said = Sampler(nova), []
    found = soak.measure(watcher, KIND, sampler, count=count, at_once=at_once, say=said.append)
    return found, sampler.seen, said


def test_samples_are_taken_where_no_server_is_there(nova):
    found, seen, said = _measure(nova, count=6)
    assert seen == [(0, 0, None), (2, 0, 1.5), (4, 0, 1.5), (6, 0, 1.5)]
    assert (found["count"], found["base"], found["failures"], found["left"]) == (6, 2, 0, [])
    assert nova.most <= 2
    assert said[-1] == "soak 6 of 6: 800 MiB, 900 open files, 4 mounts; 0 failed"


def test_a_server_that_is_not_made_is_told_and_removed(nova):
    nova.broken, nova.refused = {"nova-docker-bench-soak-1"}, {"nova-docker-bench-soak-4"}
    found, seen, _ = _measure(nova, count=6)
    assert [each["why"] for each in found["failed"]] == [
        "ERROR: No valid host was found.",
        "Nova refused the server nova-docker-bench-soak-4.",
    ]
    assert (found["count"], nova.there, seen[-1][:2]) == (6, {}, (6, 0))


def test_one_that_does_not_go_is_told_once(nova, monkeypatch):
    monkeypatch.setattr(soak, "END_SECONDS", -1)
    nova.staying = {"nova-docker-bench-soak-0"}
    found, _, _ = _measure(nova, count=6)
    assert [each["server"] for each in found["left"]] == ["nova-docker-bench-soak-0"]
    assert "not within" in found["left"][0]["why"]


def test_where_too_many_fail_it_ends(nova):
    nova.refused = {f"nova-docker-bench-soak-{number}" for number in range(200)}
    found, seen, _ = _measure(nova, count=200)
    assert (found["count"], found["wanted"], found["failures"]) == (20, 200, 20)
    assert seen[-1] == (20, 0, None)


def test_a_log_that_nobody_rotates_is_not_bounded():
    def report(grows):
        taken = [
            _sample(servers, unrotated_bytes={"odd.log": 500.0 * servers if grows else 7})
            for servers in range(0, 501, 50)
        ]
        return soak.report(taken, [], wanted=500, at_once=4, seconds=1.0)

    assert report(False)["logs"] == {
        "bytes_a_server": 2048, "first": 204800, "last": 1024000, "bounded": True
    }  # fmt: skip
    assert report(False)["growth"]["unrotated_bytes"]["odd.log"]["verdict"] == FLAT
    assert not report(True)["logs"]["bounded"]
    assert report(True)["growth"]["unrotated_bytes"]["odd.log"]["verdict"] == GROWS
    assert report(True)["growing"] == ["unrotated_bytes: odd.log"]


def test_files_are_told_by_who_rotates_them(tmp_path):
    for name in ("nova-api.log", "nova-api.log.1", "libvirt/qemu/x.log", "supervisor-start.log"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("12345")
    (tmp_path / "elsewhere").symlink_to(tmp_path / "nova-api.log")
    sizes = samples.sizes(tmp_path)
    assert sum(sizes.values()) == 20
    found = samples.unrotated(sizes, rotated=["nova-api.log"])
    assert found == {"libvirt/qemu/x.log": 5, "supervisor-start.log": 5}


def test_namespaces_and_mounts_are_those_of_the_processes_that_there_are():
    nobody = 2**22 + 1  # more than the kernel gives away
    mounted = samples._mounted({os.getpid(), nobody}, (Path("/"),))
    assert mounted[os.getpid()]
    assert samples._namespaces({os.getpid(), nobody}, {nobody: [Path("/run/netns/gone")]}) == {
        Path("/proc/self/ns/net").stat().st_ino
    }


def test_what_runs_in_servers_is_not_the_cloud_s():
    assert samples.summed({"glance": 2, HOLDERS: 3, SERVERS: 4}) == {ALL: 5, "glance": 2, HOLDERS: 3}
