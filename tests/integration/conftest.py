# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""One machine with both hypervisors, for each test its own."""

from collections.abc import Iterator

import pytest
from tests.integration.cloud import OneMachine


@pytest.fixture
def machine() -> Iterator[OneMachine]:
    # Nova's test case as a fixture: run by pytest's unittest support, it deletes what that still needs.
    case = OneMachine()
    try:
        case.setUp()
        yield case
        case.tearDown()
    finally:
        case.doCleanups()
