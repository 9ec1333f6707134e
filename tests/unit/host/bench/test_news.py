# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""What becomes of a server is read from nova-compute's own lines."""

import json
from pathlib import Path

from novadocker.host.bench import news
from novadocker.host.bench.news import ACTIVE, FAILED, GONE

RECORDED = json.loads(Path(__file__).with_name("boot.json").read_text())
SERVER = RECORDED["server"]
FAULT = (
    f"2026-11-23 00:24:27.069 673 ERROR nova.compute.manager [None req-x - - -] [instance: {SERVER}] "
    "Failed to build and run instance: nova.exception.BuildAbortException: no"
)


def test_of_a_whole_life_two_lines_are_news():
    found = [news.read(line) for line in RECORDED["lines"]]
    assert [each for each in found if each] == [(SERVER, ACTIVE), (SERVER, GONE)]


def test_a_failure_is_news():
    assert news.read(FAULT) == (SERVER, FAILED)
