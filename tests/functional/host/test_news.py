# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""News of servers comes as soon as a log has grown, also where the log is rotated."""

from queue import Queue

import pytest

from novadocker.host.bench.news import ACTIVE, GONE, News

SERVER = "50a6a444-ee67-4122-aaca-2c1a2b6c0e0d"
BUILT = f"2026-11-23 00:24:27.069 673 INFO x [-] [instance: {SERVER}] Took 2.60 seconds to build instance."
DELETED = f"2026-11-23 00:24:28.371 673 INFO x [-] Deleted allocations for instance {SERVER}"


@pytest.fixture
def log(tmp_path):
    file = tmp_path / "nova-docker.log"
    file.write_text("an old line\n")
    return file


def _write(log, line):
    with log.open("a") as stream:
        stream.write(f"{line}\n")


def test_it_is_told_at_once_and_kept_with_the_moment_the_log_says(log):
    told = Queue()
    with News([log], heard=lambda *words: told.put(words)) as following:
        # tail says nothing of when it has begun to look.
        while following.wait(SERVER, (ACTIVE,), seconds=0.1) is None:
            _write(log, BUILT)
        assert told.get(timeout=5) == (SERVER, ACTIVE)
        assert following.moment(SERVER, ACTIVE) == pytest.approx(1795393467.069)
        assert following.wait(SERVER, (GONE,), seconds=0) is None


def test_a_log_that_is_rotated_meanwhile_is_followed_on(log):
    with News([log], heard=lambda *_: None) as following:
        while following.wait(SERVER, (ACTIVE,), seconds=0.1) is None:
            _write(log, BUILT)
        log.rename(log.with_suffix(".log.1"))
        _write(log, DELETED)
        assert following.wait(SERVER, (GONE,), seconds=10) == GONE
