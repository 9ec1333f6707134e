# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""A second cloud comes and goes beside the user's, and goes also when something fails."""

from pathlib import Path

import pytest

from novadocker import run
from novadocker.host.bench import cycle


@pytest.fixture
def ran(monkeypatch):
    """What was run, with the words at which a program fails."""
    calls, failing = [], []

    def act(command, **_):
        words = " ".join(str(word) for word in command[1:])
        calls.append(words)
        if words in failing:
            failing.remove(words)
            raise run.CommandFailed(words)

    monkeypatch.setattr(run, "run", act)
    return calls, failing


def _measure():
    return cycle.measure(Path("/v/bin/nova-docker"), beside="mine", say=lambda _: None)


def test_it_has_a_name_of_its_own_and_nothing_of_it_is_there_before_and_after(ran):
    calls, _ = ran
    found = _measure()
    own = "--name mine-bench"
    assert calls == [
        f"{own} down", f"{own} up", f"{own} up", f"{own} down --keep-data", f"{own} up", f"{own} down"
    ]  # fmt: skip
    assert set(found) == {"up", "look", "down_keep_data", "up_again", "down"}


def test_after_a_failure_it_is_taken_away(ran):
    calls, failing = ran
    failing.append("--name mine-bench up")
    with pytest.raises(run.CommandFailed):
        _measure()
    assert calls[-1] == "--name mine-bench down"
