# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
import subprocess
import sys
import time

import pytest

from novadocker import poll, run


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


def test_a_program_beside_ends_with_the_block(tmp_path):
    log = tmp_path / "log"
    script = "echo here; trap 'echo ended; exit 0' TERM; while :; do sleep 0.05; done"
    with run.beside(["sh", "-c", script], log=log):
        _wait_for(lambda: log.read_text())
    assert log.read_text().split() == ["here", "ended"]


def test_a_program_beside_that_fails_is_told(tmp_path):
    log, script = tmp_path / "log", "echo ERROR: no room; exit 3"
    with (
        pytest.raises(run.CommandFailed, match="code 3") as caught,
        run.beside(["sh", "-c", script], log=log),
    ):
        _wait_for(lambda: "no room" in log.read_text())
        time.sleep(0.1)  # until it has ended of itself, or nearly
    assert "no room" in caught.value.facts


def test_a_program_beside_that_does_not_end_is_killed(tmp_path):
    log, script = tmp_path / "log", "trap '' TERM; echo here; while :; do sleep 0.05; done"
    with (
        pytest.raises(run.CommandFailed, match="did not end within"),
        run.beside(["sh", "-c", script], log=log, seconds=0.3),
    ):
        _wait_for(lambda: log.read_text())


_WAITS = """
import sys
from novadocker import run
with run.whatever_happens(["touch", sys.argv[1]]):
    print("begun", flush=True)
    sys.stdin.readline()
    {end}
"""


@pytest.mark.parametrize("end", ["pass", "raise KeyboardInterrupt", "killed"])
def test_a_command_for_the_end_runs_however_it_comes(tmp_path, end):
    mark = tmp_path / "mark"
    script = _WAITS.format(end="pass" if end == "killed" else end)
    process = subprocess.Popen(
        [sys.executable, "-c", script, mark],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    assert process.stdout.readline() == b"begun\n"
    assert not mark.exists()
    if end == "killed":
        process.kill()
    process.communicate(b"\n")
    _wait_for(mark.exists)


def _wait_for(ask) -> None:
    poll.until(lambda: None if ask() else "not yet", why="The test's condition", seconds=10, pause=0.01)
