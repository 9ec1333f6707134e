# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""A loaded program looks for garbage seldom, and not among its modules."""

import gc
from collections.abc import Iterator

import pytest

from novadocker.programs import garbage


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    thresholds = gc.get_threshold()
    yield
    gc.unfreeze()
    gc.set_threshold(*thresholds)


def test_what_is_there_is_not_looked_at_again() -> None:
    garbage.settle()
    assert gc.get_freeze_count() > 0
    assert gc.get_threshold() == garbage.THRESHOLDS


def test_garbage_is_still_found() -> None:
    garbage.settle()
    ring: list[object] = []
    ring.append(ring)
    del ring
    assert gc.collect() > 0
