# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""The table of what many servers left, as `nova-docker bench --only soak` shows it."""

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.table import Table

from novadocker.host.bench.growth import ALL, GROWS

# What a measure is called, and by how much its figures are divided to be read.
_MEASURES = {
    "pss_mib": ("memory, MiB (PSS)", 1),
    "descriptors": ("open files", 1),
    "threads": ("threads", 1),
    "things": ("", 1),
    "database_bytes": ("MariaDB's files, MiB", 1 << 20),
    "unrotated_bytes": ("a log that nobody rotates, KiB", 1 << 10),
    "seconds": ("seconds until", 1),
}
_SHOWN = 5


def show(part: Mapping[str, Any], *, console: Console) -> None:
    """Print what a soak found: the sums, and of single services and files those that grow."""
    console.print(_table(part))
    for word, which in (("not made", part["failed"]), ("not gone", part["left"])):
        for each in which[:_SHOWN]:
            console.print(f"{word}: {each['server']}: {each['why']}")
        if len(which) > _SHOWN:
            console.print(f"{word}: {len(which) - _SHOWN} more, in the JSON")
    logs = part["logs"]
    if logs["bytes_a_server"] is not None:
        bounded = "all that grew rotate" if logs["bounded"] else "one that nobody rotates grows"
        console.print(
            f"logs: {logs['bytes_a_server'] / 1024:.1f} KiB a server; {logs['first'] / (1 << 20):.1f} MiB,"
            f" then {logs['last'] / (1 << 20):.1f}; {bounded}"
        )


def _table(part: Mapping[str, Any]) -> Table:
    table = Table("soak", f"after {part['base']}", f"after {part['count']}", "per 100", "", box=None)
    left_out = 0
    for measure, (words, divisor) in _MEASURES.items():
        by_name = part["growth"].get(measure, {})
        for name, each in by_name.items():
            alone = ALL not in by_name and measure != "unrotated_bytes"
            if not (name == ALL or alone or each["verdict"] == GROWS):
                left_out += 1
                continue
            first, last, more = (each[key] / divisor for key in ("first", "last", "per_100"))
            shown = words if name == ALL else f"{words} {name}".strip()
            table.add_row(shown, f"{first:.1f}", f"{last:.1f}", f"{more:+.2f}", each["verdict"])
    if left_out:
        table.add_row(f"{left_out} more, of single services and files", "", "", "", "do not grow")
    return table
