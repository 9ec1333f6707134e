# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""What a build tells of itself."""

import pytest

from novadocker.virt.docker.progress import Progress


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_build_tells_its_steps_in_the_order_they_were_done_and_what_was_no_work_of_its_own():
    clock = Clock()
    progress = Progress(clock=clock)
    clock.now += 0.25
    progress.done("sandbox")
    with progress.waiting():
        clock.now += 0.5
    progress.done("ports")
    clock.now += 0.125
    progress.done("started")
    assert str(progress) == (
        "0.875 s, 0.500 s of them waiting for its ports to be made"
        " (sandbox 0.250, ports 0.750, started 0.875)"
    )


def test_a_wait_that_ends_in_an_error_counts():
    clock = Clock()
    progress = Progress(clock=clock)

    def never_made():
        clock.now += 2
        return int("no port")

    with pytest.raises(ValueError, match="no port"), progress.waiting():
        never_made()
    assert "2.000 s of them waiting" in str(progress)
