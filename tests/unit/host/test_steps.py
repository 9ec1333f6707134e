# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
import threading

import pytest
from tests.fakes.listener import Listener

from novadocker.errors import NovaDockerError
from novadocker.host.steps import Step, carry_out

PATIENCE = 10


def _raise(error: BaseException):
    def act() -> bool:
        raise error

    return act


def test_each_comes_after_those_it_needs():
    order: list[str] = []
    steps = [
        Step(name="roof", act=lambda: order.append("roof") is None, needs=("walls", "beams")),
        Step(name="walls", act=lambda: order.append("walls") is None, needs=("ground",)),
        Step(name="beams", act=lambda: order.append("beams") is not None, needs=("ground",)),
        Step(name="ground", act=lambda: order.append("ground") is not None),
    ]
    listener = Listener()
    assert carry_out(steps, listener=listener) == 2
    assert (order[0], order[3]) == ("ground", "roof")
    assert listener.told[:2] == ["began ground", "found ground"]
    assert set(listener.told[2:6]) == {"began walls", "began beams", "changed walls", "found beams"}
    assert listener.told[6:] == ["began roof", "changed roof"]


def test_nothing_to_do_is_done():
    assert carry_out([], listener=Listener()) == 0


def test_those_that_need_nothing_go_at_once():
    meeting = threading.Barrier(3, timeout=PATIENCE)
    steps = [Step(name=name, act=lambda: meeting.wait() >= 0) for name in "abc"]
    assert carry_out(steps, listener=Listener()) == 3


def test_no_more_at_once_than_allowed():
    together, most, guard = [0], [0], threading.Lock()
    gate = threading.Event()

    def act() -> bool:
        with guard:
            together[0] += 1
            most[0] = max(most[0], together[0])
            if together[0] == 2:
                gate.set()
        gate.wait(PATIENCE)
        with guard:
            together[0] -= 1
        return False

    carry_out([Step(name=str(each), act=act) for each in range(6)], listener=Listener(), at_once=2)
    assert most[0] == 2


@pytest.mark.parametrize(
    ("steps", "words"),
    [
        pytest.param({"a": ("b",), "b": ("c",), "c": ("b",)}, "circle: a, b, c", id="circle"),
        pytest.param({"a": ("a",)}, "circle: a", id="itself"),
        pytest.param({"a": ("nobody", "anybody")}, "nobody does: anybody, nobody", id="unknown need"),
    ],
)
def test_what_cannot_be_ordered_is_refused(steps, words):
    declared = [Step(name=name, act=lambda: True, needs=needs) for name, needs in steps.items()]
    with pytest.raises(NovaDockerError, match=words):
        carry_out(declared, listener=Listener())


def test_a_circle_does_not_keep_the_others_from_their_work():
    done: list[str] = []
    steps = [
        Step(name="a", act=lambda: True, needs=("b",)),
        Step(name="b", act=lambda: True, needs=("a",)),
        Step(name="c", act=lambda: done.append("c") is None),
    ]
    with pytest.raises(NovaDockerError, match="circle: a, b"):
        carry_out(steps, listener=Listener())
    assert done == ["c"]


def test_two_of_a_name_are_refused():
    with pytest.raises(NovaDockerError, match="same name: a"):
        carry_out([Step(name="a", act=lambda: True)] * 2, listener=Listener())


def test_after_a_failure_nothing_new_starts_and_what_runs_is_waited_for():
    failed, done = threading.Event(), []

    class Watching(Listener):
        def failed(self, step: Step, error: NovaDockerError, *, seconds: float) -> None:
            super().failed(step, error, seconds=seconds)
            failed.set()

    def slow() -> bool:
        assert failed.wait(PATIENCE)
        done.append("slow")
        return True

    listener = Watching()
    first = NovaDockerError("No.", facts="seen", hint="Do this.")
    steps = [
        Step(name="bad", act=_raise(first)),
        Step(name="slow", act=slow),
        Step(name="after slow", act=lambda: True, needs=("slow",)),
        Step(name="after bad", act=lambda: True, needs=("bad",)),
    ]
    with pytest.raises(NovaDockerError) as caught:
        carry_out(steps, listener=listener)
    assert caught.value is first
    assert done == ["slow"]
    assert listener.told == ["began bad", "began slow", "failed bad", "changed slow"]


def test_the_first_error_is_raised_and_the_second_told():
    failed = threading.Event()
    first, second = NovaDockerError("First."), NovaDockerError("Second.")

    class Watching(Listener):
        def failed(self, step: Step, error: NovaDockerError, *, seconds: float) -> None:
            super().failed(step, error, seconds=seconds)
            failed.set()

    def late() -> bool:
        assert failed.wait(PATIENCE)
        raise second

    listener = Watching()
    with pytest.raises(NovaDockerError, match="First"):
        carry_out([Step(name="a", act=_raise(first)), Step(name="b", act=late)], listener=listener)
    assert listener.errors == {"a": first, "b": second}


@pytest.mark.parametrize(
    ("raised", "facts"),
    [
        pytest.param(
            OSError(28, "No space left on device", "/x"), "[Errno 28] No space left on device: '/x'", id="os"
        ),
        pytest.param(KeyError("name"), "KeyError: 'name'", id="key"),
        pytest.param(SystemExit(3), "SystemExit: 3", id="exit"),
    ],
)
def test_any_other_exception_becomes_an_error_that_names_the_step(raised, facts):
    listener, waited = Listener(), threading.Event()
    steps = [Step(name="bad", act=_raise(raised)), Step(name="good", act=lambda: waited.set() is None)]
    with pytest.raises(NovaDockerError) as caught:
        carry_out(steps, listener=listener)
    assert caught.value.summary == "The step bad failed."
    assert caught.value.facts == facts
    assert caught.value.__cause__ is raised
    assert listener.errors == {"bad": caught.value}
    assert waited.is_set()
    assert "changed good" in listener.told
