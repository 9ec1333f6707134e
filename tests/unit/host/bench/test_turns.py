# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""Kinds that are compared meet the same machine, and each has its own account."""

import itertools
import threading

import pytest

from novadocker.host.bench import turns
from novadocker.host.bench.news import ACTIVE, GONE
from novadocker.host.bench.servers import Asked, Kind
from novadocker.host.bench.turns import Side
from novadocker.host.bench.watcher import Watcher
from novadocker.host.bench.weight import Times, Weight


class Cloud:
    """The API, its news and the scales: a container costs two processor seconds, a nothing one, and each
    server 3 ms of Glance, too little to count of one alone.

    :ivar burst: seconds until ACTIVE of those that come, one figure after the other.
    :ivar cost: processor seconds of following the news.
    """

    cost = 0.0

    def __init__(self):
        self.asked, self.there, self.spent = [], {}, 0.0
        self.until, self.burst = {}, itertools.repeat(1.0)
        self._held, self._number = threading.Lock(), itertools.count()

    def create(self, name, kind):
        with self._held:
            server = f"{name}/{next(self._number)}"
            self.asked.append(kind.name)
            self.there[server] = "ACTIVE"
            self.until[server] = next(self.burst)
            self.spent += 2.0 if kind.name == "container" else 1.0
        return Asked(id=server, began=1000.0, accepted=0.25, request="req")

    def delete(self, server):
        with self._held:
            del self.there[server]
        return 1010.0

    def statuses(self):
        return dict(self.there)

    def wait(self, server, wanted, *, seconds):
        return wanted[0]

    def moment(self, server, word):
        return {ACTIVE: 1000.0 + self.until[server], GONE: 1010.5}[word]

    def weigh(self):
        return Weight(pss={}, taken=len(self.there))

    def times(self):
        return Times(0.0, {"neutron": self.spent, "glance": 0.003 * len(self.asked)})


@pytest.fixture
def cloud(monkeypatch):
    monkeypatch.setattr(turns, "_REST", 0)
    monkeypatch.setattr(turns, "_SETTLED", 0)
    return Cloud()


def _side(cloud, name, **more):
    watcher = Watcher(api=cloud, news=cloud, scales=cloud, logs={}, lookout=None, compute="nova-docker")
    return Side(watcher=watcher, kind=Kind(name=name, image="i", flavor="f", network="n"), **more)


def _measure(cloud, *names, said=None, **counts):
    wanted = {"servers": 1, "at_once": 1, "rounds": 1} | counts
    found = turns.measure(
        [_side(cloud, name) for name in names], say=(said if said is not None else []).append, **wanted
    )
    assert cloud.there == {}
    return found


def test_kinds_come_in_turn_and_none_is_always_first(cloud):
    _measure(cloud, "nothing", "container", servers=3, at_once=2, rounds=2)
    single = ["nothing", "container", "container", "nothing", "nothing", "container"]
    bursts = ["nothing"] * 2 + ["container"] * 4 + ["nothing"] * 2
    assert cloud.asked == single + bursts


def test_each_kind_pays_for_its_own(cloud):
    nothing, container = _measure(cloud, "nothing", "container", servers=4, at_once=3, rounds=2)
    for way in ("one", "at_once"):
        assert nothing[way]["processor"]["by_service"] == {"neutron": 1.0, "glance": 0.003}
        assert nothing[way]["processor"]["seconds_a_server"] == 1.003
        assert container[way]["processor"]["seconds_a_server"] == 2.003


def test_of_several_rounds_the_middle_one_counts(cloud):
    cloud.burst = iter([1.0, *(2.0, 5.0), *(9.0, 9.0), *(4.0, 6.0)])
    said = []
    (found,) = _measure(cloud, "container", at_once=2, rounds=3, said=said)
    many = found["at_once"]
    assert [each["ACTIVE"] for each in many["rounds"]] == [5.0, 9.0, 6.0]
    assert many["last"] == {"accepted": 0.25, "ACTIVE": 6.0, "gone": 0.5}
    assert (many["count"], len(many["servers"])) == (2, 6)
    assert said[-1] == "2 containers at once, 3 of 3, the last: accepted 0.25, ACTIVE 6.00, gone 0.50 s"


def test_the_cloud_is_weighed_once_without_servers_and_with_all(cloud):
    seen = []
    sides = [_side(cloud, "nothing"), _side(cloud, "container", weighed=lambda *both: seen.append(both))]
    turns.measure(sides, servers=1, at_once=3, rounds=2, say=lambda _: None)
    assert seen == [(Weight(pss={}, taken=0), Weight(pss={}, taken=3))]
