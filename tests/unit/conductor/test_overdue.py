# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
from novadocker.conductor.overdue import Overdue


def test_a_build_is_lost_when_nobody_was_at_work_on_it_for_the_whole_span():
    overdue = Overdue(seconds=60)
    assert overdue.among(["a", "b"], at_work=["b"], now=100) == []
    assert overdue.among(["a", "b"], at_work=["b"], now=159) == []
    assert overdue.among(["a", "b"], at_work=["b"], now=160) == ["a"]


def test_one_that_somebody_took_meanwhile_is_seen_afresh():
    overdue = Overdue(seconds=60)
    overdue.among(["a"], at_work=[], now=100)
    overdue.among(["a"], at_work=["a"], now=150)
    assert overdue.among(["a"], at_work=[], now=170) == []
    assert overdue.among(["a"], at_work=[], now=230) == ["a"]


def test_one_that_is_through_is_forgotten():
    overdue = Overdue(seconds=60)
    overdue.among(["a"], at_work=[], now=100)
    overdue.among([], at_work=[], now=110)
    assert overdue.among(["a"], at_work=[], now=170) == []


def test_a_span_is_of_several_roll_calls():
    overdue = Overdue(seconds=60, calls=3)
    assert overdue.among(["a"], at_work=[], now=100) == []
    assert overdue.among(["a"], at_work=[], now=500) == []
    assert overdue.among(["a"], at_work=[], now=510) == ["a"]
