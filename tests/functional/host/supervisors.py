# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""A real supervisord below tini, with programs of the shell, in a folder of its own."""

import sys
from collections.abc import Iterable
from pathlib import Path

from novadocker.host.supervise.supervisord import Supervisord

PROGRAMS = {
    "runs": "exec sleep 4711",
    "fails": "echo 2026 ERROR no luck; exit 1",
    "floods": "exec awk 'BEGIN { for (n = 1; ; n++) "
    'printf "2026-11-22 16:00:00.0 1 INFO entry %d %0200d\\n", n, n }\'',
}


class Place:
    """The folder; `group` stands for a control group, in which it notes its pid."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.group = folder / "group"
        self.group.mkdir()
        self.socket = folder / "socket"
        self.log = folder / "log"
        self.supervisor = Supervisord(
            socket_path=self.socket,
            settings=folder / "conf",
            python=Path(sys.prefix) / "bin" / "python",
            log=self.log,
            cache=folder / "cache",
            patience=2,
        )

    def declare(self, names: Iterable[str], **options: str) -> None:
        """Write the settings; a name is that of a program, with a number after it if need be."""
        text = (
            f"[unix_http_server]\nfile={self.socket}\n[supervisord]\nnodaemon=true\nsilent=true\n"
            f"logfile={self.folder}/supervisor.log\npidfile={self.folder}/pid\n[rpcinterface:supervisor]\n"
            "supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface\n"
        )
        for name in names:
            script = self.folder / f"{name}.sh"
            script.write_text(PROGRAMS[name.rstrip("0123456789")] + "\n")
            text += (
                f"[program:{name}]\ncommand=/bin/sh {script}\nautostart=false\n"
                f"autorestart=true\nstartsecs=1\nstartretries=1\nstopwaitsecs=5\nredirect_stderr=true\n"
                f"stdout_logfile={self.folder}/{name}.log\n"
            )
            text += "".join(f"{option}={value}\n" for option, value in options.items())
        (self.folder / "conf").write_text(text)

    def close(self) -> None:
        if self.supervisor.alive():
            self.supervisor.end()
