# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
from datetime import UTC, datetime

import pytest

from novadocker.host import journal

LINES = {
    "nova": "2026-11-22 16:54:48.423 605 ERROR nova.compute [None req-9bdd031d - - -] x",
    "mariadb": "2026-11-22 16:54:48 0 [ERROR] InnoDB: x",
    "rabbitmq": "2026-11-22 16:54:48.423000+00:00 [error] <0.223.0> x",
    "libvirtd": "2026-11-22 17:54:48.423+0100: 189: error : virHostCPU:1481 : x",
    "vswitchd": "2026-11-22T16:54:48.423Z|00001|bridge|ERR|x",
    "dockerd": 'time="2026-11-22T16:54:48.423242932Z" level=error msg="x"',
    "supervisor": "2026-11-22 16:54:48,423 CRIT x",
}
SERVER = "0e2d7a5e-8a3f-4c39-9d3c-7d3f1a5b6c7d"
REQUEST = "req-9bdd031d-10a5-44db-b5ec-e08ba9b708b7"
OTHER = "req-11111111-10a5-44db-b5ec-e08ba9b708b7"


def _parsed(*lines):
    return list(journal.entries(lines, service="nova"))


@pytest.mark.parametrize("service", LINES)
def test_every_program_s_time_and_level_are_understood(service):
    (entry,) = journal.entries([LINES[service] + "\n"], service=service)
    assert entry.level == "error"
    assert entry.time.replace(microsecond=0) == datetime(2026, 11, 22, 16, 54, 48, tzinfo=UTC)


def test_a_word_in_the_message_is_no_level():
    (entry,) = _parsed("2026-11-22 16:54:48.423 605 INFO nova.compute [-] " + "x" * 60 + " ERROR")
    assert entry.level == "info"


def test_lines_without_a_time_belong_to_the_entry_before():
    first, second = _parsed(
        "2026-11-22 16:54:48.1 1 INFO a [-] one", "and on", "", "2026-11-22 16:54:48.2 1 INFO a [-] two"
    )
    assert first.text.endswith("one\nand on")
    assert second.text.endswith("two")


def test_a_traceback_is_one_entry_and_an_error():
    stamp = "2026-11-22 16:54:48.423 605"
    (entry,) = _parsed(
        f"{stamp} WARNING nova [-] failed",
        f"{stamp} TRACE nova Traceback",
        f"{stamp} TRACE nova   ValueError",
    )
    assert entry.level == "error"
    assert len(entry.text.splitlines()) == 3


def test_journals_are_joined_by_time():
    one = journal.entries([LINES["nova"], "2026-11-22 16:54:50.0 1 INFO a [-] c"], service="nova")
    two = journal.entries(["2026-11-22T16:54:49.0Z|1|a|INFO|b"], service="ovs")
    assert [entry.service for entry in journal.joined([one, two])] == ["nova", "ovs", "nova"]


def test_what_was_written_for_a_server_s_request_is_found_too():
    found = _parsed(
        f"2026-11-22 16:54:48.1 1 INFO api [None {REQUEST} u p - - d d] POST servers",
        f"2026-11-22 16:54:48.2 1 INFO compute [None {REQUEST} u p - - d d] [instance: {SERVER}] Claim",
        f"2026-11-22 16:54:48.3 1 INFO api [None {OTHER} u p - - d d] another",
    )
    kept = journal.of_server(found, words=[SERVER])
    assert [entry.text.split()[-1] for entry in kept] == ["servers", "Claim"]


def test_a_periodic_task_that_names_the_server_does_not_bring_all_it_wrote():
    found = _parsed(
        f"2026-11-22 16:54:48.1 1 INFO compute [None {OTHER} - - - - - -] [instance: {SERVER}] During sync",
        f"2026-11-22 16:54:48.2 1 INFO compute [None {OTHER} - - - - - -] [instance: another] During sync",
    )
    assert len(journal.of_server(found, words=[SERVER])) == 1


def test_rotated_parts_come_first(tmp_path):
    for name, second in (("a.log", 3), ("a.log.1", 2), ("a.log.2", 1), ("a.log.gz", 0)):
        (tmp_path / name).write_text(f"2026-11-22 16:54:4{second}.0 1 INFO a [-] x\n")
    assert [entry.time.second for entry in journal.read(tmp_path / "a.log", service="a")] == [41, 42, 43]
    assert list(journal.read(tmp_path / "b.log", service="b")) == []
