# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""supervisord, whose Python services start as copies of it: `supervisord.py -c FILE`.

A dozen processes would load the same libraries, a second of processor time and some 40 MB each. Here
supervisord has them loaded, and where the program of a new process is a service of ours, the process becomes
that itself (`begin.py`). All others start as ever, and nothing else of supervisord is changed.
"""

import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import setproctitle
from supervisor import supervisord
from supervisor.options import ServerOptions

from novadocker.programs import begin, libraries

# Seconds that a start waits for what it is to be a copy of; supervisord answers nobody meanwhile.
_PATIENCE = 5.0


class Options(ServerOptions):  # type: ignore[misc]  # its package has no types
    """supervisord's options and doors; two of its ways to start a program are replaced."""

    def __init__(self) -> None:
        super().__init__()
        self._installed = libraries.installed()
        self._loaded = False
        # Meanwhile it answers, and starts what needs none of them.
        self._loading = threading.Thread(target=_load, daemon=True)
        self._loading.start()

    def check_execv_args(self, filename: str, argv: Sequence[str], st: Any) -> None:
        """Called before the process is made: one that is to be a copy has to wait for what it copies."""
        super().check_execv_args(filename, argv, st)
        if _is_ours(argv) and not self._loaded:
            self._loading.join(_PATIENCE)
            self._loaded = not self._loading.is_alive()

    def execve(self, filename: str, argv: Sequence[str], env: Mapping[str, str]) -> None:
        """Called in the new process. After an upgrade what is loaded is outdated: it starts from nothing."""
        if _is_ours(argv) and self._loaded and libraries.installed() == self._installed:
            begin.become(Path(argv[-1]), env)
        super().execve(filename, argv, env)


def _is_ours(argv: Sequence[str]) -> bool:
    return begin.MODULE in argv[:-1]


def _load() -> None:
    for failed in libraries.load():
        print(f"Not loaded for all services: {failed}", file=sys.stderr, flush=True)


def main() -> None:
    """Be supervisord until told to end."""
    # Where a title has room is found by the first words, while these are in their place.
    setproctitle.getproctitle()
    supervisord.ServerOptions = Options
    supervisord.main()


if __name__ == "__main__":
    main()
