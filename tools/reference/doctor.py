# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""docs/reference/doctor.md: every check, what it finds, and which test plants that."""

import configparser
import inspect
from collections.abc import Mapping
from pathlib import Path

from tools.reference import markdown

from novadocker.host.checks import registry

SOURCE = "docs/reference/doctor.ini"


def read(path: Path) -> dict[str, Mapping[str, str]]:
    """Read the file: what it says of each check."""
    parser = configparser.ConfigParser(interpolation=None, delimiters=("=",))
    with path.open() as file:
        parser.read_file(file)
    return {name: dict(parser[name]) for name in parser.sections()}


def page(told: Mapping[str, Mapping[str, str]]) -> str:
    """Return the page."""
    real = sum(each["planted"] == "real" for each in told.values())
    return markdown.page(
        "# What `nova-docker doctor` looks for",
        markdown.written_from(f"novadocker.host.checks and {SOURCE}"),
        f"{len(registry.ALL)} checks. It gathers first and judges then; it changes nothing without `--fix`, "
        "which runs only the commands of findings that are `safe`: they disturb nothing that works. A check "
        "that could not look says why (`-v`). The exit code is 0 where nothing is wrong, 1 where something "
        "is, and 2 where the command was not understood.",
        f"Each check is tested on recorded evidence. {real} faults are planted for real, too; the last "
        "column names the test, or says why there is none.",
        markdown.table(
            ("check", "what it finds", "what puts it right", "safe", "planted"),
            [
                (f"`{check.id}`", _finds(check.judge), each["fix"], each["safe"], _planted(each))
                for check in registry.ALL
                if (each := told[check.id])
            ],
        ),
        "A server of containers is removed also while a process in a mount namespace of its own holds its "
        "mounts: since Linux 3.18 a place that is removed loses its mounts in every namespace, and Docker's "
        '"device or resource busy" is gone with that. What is only unmounted, as a loop device or a '
        "namespace, stays in use until that process ends; it is a failure then, and a warning before.",
    )


def _finds(judge: object) -> str:
    return (inspect.getdoc(judge) or "").partition("\n\n")[0]


def _planted(told: Mapping[str, str]) -> str:
    if told["planted"] == "real":
        return f"`{told['test']}`"
    return f"on recorded evidence: {told['why']}"
