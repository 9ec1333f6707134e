# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
import json

from novadocker.host import journal
from novadocker.host.supervise import log_files


def _entry(cursor, **fields):
    return json.dumps({"__CURSOR": cursor, **fields}).encode() + b"\n"


def test_each_service_has_its_file_and_the_place_is_noted(tmp_path):
    cursor = tmp_path / "cursor"
    lines = [
        _entry("a", SYSLOG_IDENTIFIER="it", MESSAGE="one"),
        _entry("b", SYSLOG_IDENTIFIER="other", MESSAGE="else"),
        _entry("c", SYSLOG_IDENTIFIER="it", MESSAGE=[0x74, 0xFF]),  # no text: the journal gives its bytes
        _entry("d", SYSLOG_IDENTIFIER="../it", MESSAGE="never"),
        _entry("e", SYSLOG_IDENTIFIER="it", MESSAGE=None),  # too long for the journal
    ]
    log_files.copy(lines, files=log_files.Files(tmp_path), cursor=cursor)
    assert (tmp_path / "it.log").read_text() == "one\nt\ufffd\n"
    assert (tmp_path / "other.log").read_text() == "else\n"
    assert cursor.read_text() == "e"
    assert {path.name for path in tmp_path.iterdir()} == {"it.log", "other.log", "cursor"}


def test_long_files_are_rotated_under_the_names_logs_knows(tmp_path, monkeypatch):
    monkeypatch.setattr(log_files, "_BYTES", 10)
    files = log_files.Files(tmp_path)
    for number in range(4):
        files.add("it", f"line {number}")
    assert [path.name for path in journal.parts(tmp_path / "it.log")] == ["it.log.2", "it.log.1", "it.log"]


def test_it_goes_on_where_it_was():
    assert "--after-cursor=s=1" in log_files.command("nova-docker.slice", cursor="s=1")
    assert "--boot" in log_files.command("nova-docker.slice", cursor="")
