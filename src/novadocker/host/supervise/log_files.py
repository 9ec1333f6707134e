# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""Keep a file of what each service writes to systemd's journal: `log_files.py FOLDER CURSOR SLICE`.

`nova-docker logs`, the errors of `up` and `doctor` read these files; they are the ones supervisord writes
elsewhere, with the same names and as long.
"""

import json
import logging
import sys
from collections.abc import Iterable
from logging.handlers import RotatingFileHandler
from pathlib import Path

from novadocker import run

# As supervisord's.
_BYTES = 20 * 1024 * 1024
_OLDER = 2
_END = "__CURSOR"


def command(unit: str, *, cursor: str) -> list[str]:
    """What tells every line of the slice's services, from `cursor` or this boot's beginning on."""
    where = [f"--after-cursor={cursor}"] if cursor else ["--boot", "--lines=all"]
    form = ["--output=json", "--output-fields=MESSAGE,SYSLOG_IDENTIFIER"]
    of = ["_TRANSPORT=stdout", f"_SYSTEMD_SLICE={unit}"]
    return ["journalctl", "--quiet", "--follow", "--no-tail", *form, *where, *of]


class Files:
    """The files, opened as services write."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._open: dict[str, RotatingFileHandler] = {}

    def add(self, service: str, text: str) -> None:
        """Add a line to a service's file, which is rotated at its size."""
        if service not in self._open:
            self._open[service] = RotatingFileHandler(
                self._folder / f"{service}.log", maxBytes=_BYTES, backupCount=_OLDER, errors="replace"
            )
        self._open[service].emit(logging.LogRecord(service, logging.INFO, "", 0, text, None, None))


def copy(lines: Iterable[bytes], *, files: Files, cursor: Path) -> None:
    """Add every entry to its service's file, and note in `cursor` how far that got."""
    for line in lines:
        entry = json.loads(line)
        service, said = entry.get("SYSLOG_IDENTIFIER"), entry.get("MESSAGE")
        # The journal gives what is no text as a list of its bytes.
        text = bytes(said).decode(errors="replace") if isinstance(said, list) else said
        if isinstance(service, str) and "/" not in service and text is not None:
            files.add(service, text)
        cursor.write_text(entry[_END])


def main() -> None:
    """Copy until journalctl ends."""
    folder, cursor, unit = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
    known = cursor.read_text() if cursor.exists() else ""
    copy(run.lines(command(unit, cursor=known)), files=Files(folder), cursor=cursor)
    sys.exit("journalctl ended")


if __name__ == "__main__":
    main()
