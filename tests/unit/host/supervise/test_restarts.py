# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
import time

import pytest
from tests.fakes import clouds

from novadocker.host.supervise import restarts


@pytest.fixture
def layout(tmp_path):
    made = clouds.cloud_in(tmp_path).layout
    made.starts.mkdir(parents=True)
    return made


def note(layout, *moments: int) -> None:
    (layout.starts / "it").write_text("".join(f"{each}\n" for each in moments))


def test_a_start_that_was_asked_for_is_no_death(layout):
    assert restarts.deaths(layout, "it") == 0
    note(layout, 1000)
    assert restarts.deaths(layout, "it", now=1001) == 0


def test_deaths_of_late_count_and_are_forgotten_with_the_next_start(layout):
    note(layout, 1000, 1010, 1020, 1700)
    assert restarts.deaths(layout, "it", now=1701) == 1
    assert restarts.deaths(layout, "it", now=1605) == 3
    restarts.forget(layout, "it")
    assert restarts.deaths(layout, "it", now=1605) == 0
    restarts.forget(layout, "it")


def test_ten_are_told(layout):
    now = int(time.time())
    note(layout, *[now] * restarts.MANY)
    assert restarts.restless(layout, "it") == ""
    note(layout, *[now] * (restarts.MANY + 1))
    assert restarts.restless(layout, "it").startswith("it ended 10 times")
