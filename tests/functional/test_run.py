# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
import time

import pytest

from novadocker import run


def test_what_it_wrote_and_its_code():
    done = run.run(["sh", "-c", "echo out; echo err >&2; exit 3"], check=False)
    assert (done.code, done.out, done.err) == (3, "out\n", "err\n")


def test_it_gets_words_environment_folder_and_input(tmp_path):
    done = run.run(
        ["sh", "-c", 'cat; echo "$0 $X"; pwd', "a  b"],
        environment={"X": "x"},
        stdin="in\n",
        directory=tmp_path,
    )
    assert done.out == f"in\na  b x\n{tmp_path}\n"


def test_without_input_it_waits_for_none():
    assert run.run(["cat"]).out == ""


def test_output_in_no_known_encoding():
    assert run.run(["printf", "a\\377b"]).out == "a\ufffdb"


@pytest.mark.parametrize(
    ("script", "facts"),
    [("echo why >&2; echo x; exit 1", "why"), ("echo why; exit 1", "why"), ("kill -9 $$", "")],
)
def test_another_code_is_told_with_its_words(script, facts):
    with pytest.raises(run.CommandFailed) as caught:
        run.run(["sh", "-c", script], hint="Do this.")
    assert "ended with code" in caught.value.summary
    assert (caught.value.facts, caught.value.hint) == (facts, "Do this.")


def test_its_log_grows_and_its_last_words_are_told(tmp_path):
    log = tmp_path / "log"
    log.write_text("before\n")
    assert run.run(["echo", "now"], log=log).out == ""
    with pytest.raises(run.CommandFailed) as caught:
        run.run(["sh", "-c", "echo after >&2; exit 1"], log=log)
    assert log.read_text() == "before\nnow\nafter\n"
    assert caught.value.facts == "before\nnow\nafter"


def test_one_that_overruns_is_ended():
    began = time.monotonic()
    with pytest.raises(run.CommandFailed, match="did not end within 0 s"):
        run.run(["sleep", "4711"], seconds=0.3)
    assert time.monotonic() - began < 5


def test_a_program_that_is_not_there():
    with pytest.raises(run.CommandFailed, match="no-such-program is not on this machine") as caught:
        run.run(["no-such-program"])
    assert caught.value.hint == "Run packages/install."


@pytest.mark.parametrize("missing", ["folder", "log's folder", "right", "format"])
def test_one_that_cannot_start(tmp_path, missing):
    program = tmp_path / "program"
    program.write_bytes(b"\x00\x01")
    program.chmod(0o644 if missing == "right" else 0o755)
    options = {
        "folder": {"directory": tmp_path / "nowhere"},
        "log's folder": {"log": tmp_path / "nowhere" / "log"},
    }.get(missing, {})
    with pytest.raises(run.CommandFailed, match="could not be started") as caught:
        run.run([program] if missing in ("right", "format") else ["true"], **options)
    assert caught.value.facts
