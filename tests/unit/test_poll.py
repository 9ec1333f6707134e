# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
import pytest
from tests.fakes.clock import Clock

from novadocker import poll


def _until(answers, clock, **options):
    answers = iter(answers)
    poll.until(lambda: next(answers), why="It", clock=clock, rest=clock.rest, **options)


def test_what_is_so_at_once_is_not_waited_for():
    clock = Clock()
    _until([None], clock, seconds=0)
    assert clock.rests == []


def test_pauses_grow_to_a_second():
    clock = Clock()
    _until(["no"] * 14 + [None], clock, seconds=100)
    assert clock.rests[0] == pytest.approx(0.1)
    assert clock.rests == sorted(clock.rests)
    assert clock.rests[-1] == 1.0


def test_the_last_thing_seen_is_told():
    clock = Clock()
    with pytest.raises(poll.NotInTime) as caught:
        _until([f"seen {number}" for number in range(99)], clock, seconds=5, hint="Look there.")
    error = caught.value
    assert error.summary == "It: not within 5 s."
    assert error.facts == f"seen {len(clock.rests)}"
    assert error.hint == "Look there."
    assert clock.now == pytest.approx(1005)


def test_it_is_asked_once_more_at_the_deadline():
    clock = Clock()
    _until(["no", None], clock, seconds=0.05)
    assert clock.rests == [pytest.approx(0.05)]
