# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
import pytest

from novadocker import run

LOGS = {
    "none": (None, ""),
    "empty": ("\n \n", ""),
    "the last lines": ("1\n2\n\n3\n4\n5\n6\n", "2\n3\n4\n5\n6"),
    "errors before the rest": ("x ERROR one\nfine\nyy CRITICAL two\nfine\n", "x ERROR one\nyy CRITICAL two"),
    "MariaDB's": ("[Note] a\n2026 [ERROR] Aborting\n[Note] b\n", "2026 [ERROR] Aborting"),
    "Open vSwitch's": ("|INFO|a\n|ERR|b\n", "|ERR|b"),
    "a traceback's": ("  File x\nValueError: bad\n  more\n", "ValueError: bad"),
}


@pytest.mark.parametrize(("text", "words"), LOGS.values(), ids=LOGS.keys())
def test_last_words(tmp_path, text, words):
    log = tmp_path / "log"
    if text is not None:
        log.write_text(text)
    assert run.last_words(log) == words


def test_last_words_of_a_long_log_in_no_known_encoding(tmp_path):
    log = tmp_path / "log"
    log.write_bytes(b"\xff\xfe" * 100_000 + b"\nend \xff\n")
    assert run.last_words(log, lines=1) == "end \ufffd"


def test_a_program_is_found_or_not():
    assert run.found("sh")
    assert not run.found("no-such-program-anywhere")
