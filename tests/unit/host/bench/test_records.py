# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""What was written since a bookmark, whatever has become of the files."""

import pytest

from novadocker.host.bench import records


@pytest.fixture
def logs(tmp_path):
    return {name: tmp_path / f"{name}.log" for name in ("nova-api", "neutron")}


def _write(file, *seconds):
    with file.open("a") as stream:
        stream.writelines(f"2026-11-23 00:00:{at:02}.000 1 INFO x [-] {at}\n" for at in seconds)


def _since(marks, logs):
    return [entry.time.second for entry in records.since(marks, logs)]


def test_what_was_there_before_is_left_out_and_services_are_joined_by_time(logs):
    _write(logs["nova-api"], 1, 2)
    _write(logs["neutron"], 1)
    marks = records.mark(logs)
    _write(logs["neutron"], 4)
    _write(logs["nova-api"], 3, 5)
    assert _since(marks, logs) == [3, 4, 5]


def test_a_log_that_was_not_there_is_read_whole(logs):
    marks = records.mark(logs)
    _write(logs["neutron"], 4)
    assert _since(marks, logs) == [4]


def test_a_log_that_was_rotated_is_read_in_both_its_parts(logs):
    file = logs["neutron"]
    _write(file, 1, 2)
    marks = records.mark(logs)
    _write(file, 3)
    file.rename(file.with_name("neutron.log.1"))
    _write(file, 4)
    assert _since(marks, logs) == [3, 4]
