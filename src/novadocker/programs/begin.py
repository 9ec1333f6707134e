# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""Become a service that is a Python program: `begin.py FILE`; `host/render.py` writes FILE.

It does what a start script of the shell does for other services: enter the control group and the namespaces,
set the environment, give root's rights up, and be the program. Python does it, because a process that was
copied from one with the libraries loaded (`supervisord.py`) must not become another program on the way.
"""

import atexit
import ctypes
import json
import os
import pwd
import runpy
import signal
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import setproctitle

from novadocker import run as programs
from novadocker.programs import libraries

MODULE = "novadocker.programs.begin"

# unshare(2), prctl(2)
_CLONE_NEWNS = 0x00020000
_PR_SET_DUMPABLE, _PR_SET_NO_NEW_PRIVS = 4, 38


@dataclass(frozen=True, kw_only=True)
class Start:
    """How a service starts.

    :ivar before: shell lines that move the parent of their shell to where it belongs, and note its start.
    :ivar mounts: whether it has a mount namespace of its own, with the propagation that mounts have.
    :ivar inside: shell lines for that namespace.
    :ivar user: empty for root.
    :ivar module: the program, as `python -m` takes it.
    """

    name: str
    before: tuple[str, ...]
    mounts: bool
    inside: tuple[str, ...]
    environment: Mapping[str, str]
    user: str
    module: str
    arguments: tuple[str, ...]

    @classmethod
    def read(cls, path: Path) -> "Start":
        """What the file says."""
        said = json.loads(path.read_text())
        for key in ("before", "inside", "arguments"):
            said[key] = tuple(said[key])
        return cls(**said)


def become(file: Path, environment: Mapping[str, str]) -> NoReturn:
    """Be the service of `file` from here on, in a process that was copied from another program's.

    What that one had is left as it is, and never looked at again: an end in the usual way would close open
    files by numbers that are the service's by now.

    :param environment: the one it starts with.
    """
    code: object = 1
    try:
        _forget_signals()
        # Found for the supervisor, by its environment.
        tempfile.tempdir = None
        os.environ.clear()
        os.environ.update(environment)
        run(Start.read(file))
        code = None
    except SystemExit as end:
        code = end.code
    except BaseException:  # noqa: BLE001  # as Python's own last word: nobody is left to raise it to
        traceback.print_exc()
    finally:
        os._exit(_ended(code))


def run(start: Start) -> None:
    """Be the program: returns when it does, and raises what it does.

    :raises novadocker.run.CommandFailed: if a shell line fails.
    """
    _shell(start.before)
    if start.mounts:
        _checked(_libc().unshare(_CLONE_NEWNS))
    _shell(start.inside)
    os.environ.update(start.environment)
    time.tzset()
    words = ("python", "-P", "-m", start.module, *start.arguments)
    # It stands where others have their command; who is copied from a supervisor would be called like it.
    setproctitle.setproctitle(" ".join((str(Path(sys.prefix) / "bin" / words[0]), *words[1:])))
    setproctitle.setthreadtitle(start.name)
    if start.user:
        _give_rights_up(start.user)
    libraries.use_own_cache()
    sys.argv = [start.module, *start.arguments]
    runpy.run_module(start.module, run_name="__main__", alter_sys=True)


def _shell(lines: Sequence[str]) -> None:
    if lines:
        programs.run(["/bin/sh", "-ec", "\n".join(lines)])


def _give_rights_up(user: str) -> None:
    """Go on as `user`, with its groups, as setpriv(1) would: for good, and for all that it starts."""
    entry = pwd.getpwnam(user)
    os.initgroups(user, entry.pw_gid)
    os.setresgid(entry.pw_gid, entry.pw_gid, entry.pw_gid)
    os.setresuid(entry.pw_uid, entry.pw_uid, entry.pw_uid)
    _checked(_libc().prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
    # After a change of its user a process may not look at itself below /proc; a new program may.
    _checked(_libc().prctl(_PR_SET_DUMPABLE, 1, 0, 0, 0))


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _checked(result: int) -> None:
    if result:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def _forget_signals() -> None:
    """Let every signal mean what it means to a new program."""
    for number in signal.valid_signals():
        if callable(signal.getsignal(number)):
            signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)


def _ended(code: object) -> int:
    """Finish as Python does at its end; returns the exit code that `code` of a SystemExit means."""
    try:
        # Waits for threads that are no daemons, as multiprocessing has it done in its children.
        threading._shutdown()  # type: ignore[attr-defined]
        atexit._run_exitfuncs()
        if code is not None and not isinstance(code, int):
            print(code, file=sys.stderr)
        sys.stdout.flush()
        sys.stderr.flush()
    except OSError:
        return 1
    return code if isinstance(code, int) else int(code is not None)


def main() -> None:
    """Be the service of the file that the argument names."""
    run(Start.read(Path(sys.argv[1])))


if __name__ == "__main__":
    main()
