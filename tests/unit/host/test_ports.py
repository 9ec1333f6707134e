# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
import pytest

from novadocker.errors import NovaDockerError
from novadocker.host import ports

USUAL = {"a": 5000, "b": 5001, "c": 9000}


@pytest.fixture
def taken(monkeypatch):
    held: set[int] = set()
    monkeypatch.setattr(ports, "_free", lambda port: port not in held)
    return held


def test_the_usual_ports_where_nobody_has_them(taken):
    assert ports.choose(USUAL, remembered={}) == USUAL


def test_one_that_is_taken_moves_to_the_next_that_is_nobodys(taken):
    taken.update({5000, 5002})
    assert ports.choose(USUAL, remembered={}) == {"a": 5003, "b": 5001, "c": 9000}


def test_what_is_remembered_stays_even_if_it_is_in_use_by_ourselves(taken):
    taken.update({5007, 9000})
    remembered = {"a": 5007, "c": 9000}
    assert ports.choose(USUAL, remembered=remembered, ours={5007, 9000}) == {"a": 5007, "b": 5001, "c": 9000}


def test_a_new_server_does_not_take_a_remembered_port(taken):
    assert ports.choose(USUAL, remembered={"c": 5001})["b"] == 5002


def test_a_server_of_the_past_is_forgotten(taken):
    assert "old" not in ports.choose(USUAL, remembered={"old": 7000})


def test_ports_end(taken):
    taken.update({65534, 65535})
    with pytest.raises(NovaDockerError, match="no free port"):
        ports.choose({"a": 65534}, remembered={})


def test_what_is_remembered_moves_if_another_has_it_now(taken):
    taken.update({5007})
    assert ports.choose(USUAL, remembered={"a": 5007})["a"] == 5000


def test_a_wanted_port_drives_away_a_remembered_one(taken):
    assert ports.choose(USUAL, remembered={"a": 7000}, wanted={"b": 7000}) == {
        "a": 5000, "b": 7000, "c": 9000,
    }  # fmt: skip


def test_a_wanted_port_may_be_our_own_of_now_but_nobody_elses(taken):
    taken.update({7000})
    assert ports.choose(USUAL, remembered={}, wanted={"a": 7000}, ours={7000})["a"] == 7000
    with pytest.raises(NovaDockerError, match="Port 7000 for a is taken"):
        ports.choose(USUAL, remembered={"a": 7000}, wanted={"a": 7000})
