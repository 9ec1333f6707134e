# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""The one door to other programs: run a command, keep what it said, and say why it failed."""

import os
import shlex
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from novadocker.errors import NovaDockerError


class CommandFailed(NovaDockerError):
    """A program could not be started, did not end in time, or ended with another code than 0."""


@dataclass(frozen=True, kw_only=True)
class Finished:
    """What a program left: its exit code and what it wrote."""

    code: int
    out: str
    err: str


def run(
    command: Sequence[str | Path],
    *,
    check: bool = True,
    seconds: float = 120,
    environment: Mapping[str, str] | None = None,
    stdin: str | None = None,
    directory: Path | None = None,
    log: Path | None = None,
    hint: str = "",
) -> Finished:
    """Run `command` to its end.

    :param seconds: after which it is killed.
    :param environment: added to this process's own.
    :param log: a file that receives what the program writes, as it writes it; `out` and `err` are then empty.
    :raises CommandFailed: if it cannot start, overruns, or (with `check`) ends with a code other than 0.
    """
    words = [str(word) for word in command]
    shown = shlex.join(words)
    env = {**os.environ, **(environment or {})}
    try:
        if log is not None:
            with log.open("ab") as stream:
                done = subprocess.run(
                    words, env=env, cwd=directory, timeout=seconds, check=False, stdout=stream,
                    stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
                )  # fmt: skip
            finished = Finished(code=done.returncode, out="", err="")
        else:
            text = subprocess.run(
                words, env=env, cwd=directory, timeout=seconds, check=False, capture_output=True,
                text=True, errors="replace", input=stdin if stdin is not None else "",
            )  # fmt: skip
            finished = Finished(code=text.returncode, out=text.stdout, err=text.stderr)
    except OSError as error:
        # The name in the error is the program's, or that of the folder or log that is not there.
        if isinstance(error, FileNotFoundError) and error.filename == words[0]:
            raise CommandFailed(
                f"The program {words[0]} is not on this machine.",
                facts=str(error),
                hint=hint or "Run packages/install.",
            ) from error
        raise CommandFailed(f"`{shown}` could not be started.", facts=str(error), hint=hint) from error
    except subprocess.TimeoutExpired as error:
        raise CommandFailed(f"`{shown}` did not end within {seconds:.0f} s.", hint=hint) from error
    if check and finished.code != 0:
        said = last_words(log) if log is not None else (finished.err.strip() or finished.out.strip())
        raise CommandFailed(f"`{shown}` ended with code {finished.code}.", facts=said[-2000:], hint=hint)
    return finished


def _started(command: Sequence[str | Path], **how: Any) -> "subprocess.Popen[bytes]":
    words = [str(word) for word in command]
    try:
        return subprocess.Popen(words, **how)
    except OSError as error:
        raise CommandFailed(f"`{shlex.join(words)}` could not be started.", facts=str(error)) from error


@contextmanager
def writing(command: Sequence[str | Path]) -> Iterator["subprocess.Popen[bytes]"]:
    """Start a program whose output is read as it writes it; it is ended on leaving.

    :raises CommandFailed: if it cannot start.
    """
    with _started(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as process:
        try:
            yield process
        finally:
            process.terminate()


def lines(command: Sequence[str | Path]) -> Iterator[bytes]:
    """The lines a program writes, as it writes them; without a reader any more it is ended.

    :raises CommandFailed: if it cannot start.
    """
    with writing(command) as process:
        assert process.stdout is not None
        yield from process.stdout


@contextmanager
def answering(command: Sequence[str | Path]) -> Iterator["subprocess.Popen[bytes]"]:
    """Start a program to speak with; on leaving its input ends, and it is waited for, or killed.

    :raises CommandFailed: if it cannot start.
    """
    pipe = subprocess.PIPE
    with _started(command, stdin=pipe, stdout=pipe, stderr=pipe, bufsize=0) as process:
        try:
            yield process
        except BaseException:
            process.kill()
            raise


@contextmanager
def beside(command: Sequence[str | Path], *, log: Path, seconds: float = 30) -> Iterator[None]:
    """Run a program during the block; then it is asked to end (SIGTERM), and waited for.

    :raises CommandFailed: if it cannot start, does not end within `seconds`, or ends with another code.
    """
    words = [str(word) for word in command]
    with log.open("ab") as stream:
        process = _started(command, stdin=subprocess.DEVNULL, stdout=stream, stderr=subprocess.STDOUT)
    try:
        yield
    finally:
        process.terminate()
        try:
            code = process.wait(seconds)
        except subprocess.TimeoutExpired as error:
            process.kill()
            process.wait()
            raise CommandFailed(
                f"{words[0]} did not end within {seconds:.0f} s.", hint=f"See {log}."
            ) from error
    if code != 0:
        raise CommandFailed(f"{words[0]} ended with code {code}.", facts=last_words(log), hint=f"See {log}.")


@contextmanager
def whatever_happens(command: Sequence[str | Path]) -> Iterator[None]:
    """Run `command` when the block ends, or this process does, even by SIGKILL."""
    # Its standard input ends with the last who holds the other end: this process alone does.
    waiting = ["/bin/sh", "-c", 'read -r _; exec "$@"', "sh", *(str(word) for word in command)]
    process = subprocess.Popen(
        waiting, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        start_new_session=True,
    )  # fmt: skip
    assert process.stdin is not None
    try:
        yield
    finally:
        process.stdin.close()
        process.wait()


def last_words(log: Path, *, lines: int = 5) -> str:
    """The last lines of a log that say something, errors before the rest; empty if there is none."""
    if not log.is_file():
        return ""
    with log.open("rb") as stream:
        stream.seek(max(0, log.stat().st_size - 65536))
        said = [line for line in stream.read().decode(errors="replace").splitlines() if line.strip()]
    serious = [
        line
        for line in said
        if any(word in line for word in (" ERROR ", "CRITICAL", "[ERROR]", "|ERR|", "Error:"))
    ]
    return "\n".join((serious or said)[-lines:])


def found(program: str) -> bool:
    """Whether `program` is on the path."""
    return shutil.which(program) is not None


def spawn_detached(command: Sequence[str | Path], *, log: Path, environment: Mapping[str, str]) -> int:
    """Start a program in a session of its own that outlives this one; returns its pid."""
    with log.open("ab") as stream:
        process = subprocess.Popen(
            [str(word) for word in command], env=dict(environment), stdin=subprocess.DEVNULL, stdout=stream,
            stderr=subprocess.STDOUT, start_new_session=True, cwd="/",
        )  # fmt: skip
    return process.pid
