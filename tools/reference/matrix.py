# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""docs/reference/support-matrix.md: the support matrix, from its file in Nova's own format."""

import configparser
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from tools.reference import markdown

SOURCE = "docs/reference/support-matrix.ini"
NOVAS = "https://docs.openstack.org/nova/latest/user/support-matrix.html"
DRIVER, BESIDE = "docker", "libvirt-kvm-x86"
GROUPS = {
    "operation": "What can be asked for",
    "guest": "What a server is given",
    "console": "Consoles",
    "storage": "Storage",
}


@dataclass(frozen=True, kw_only=True)
class Row:
    """One feature.

    :ivar key: Nova's name of it.
    :ivar status: what Nova expects: mandatory, optional, choice(GROUP) or condition(GROUP==VALUE).
    :ivar support: complete, partial or missing, as the driver is.
    :ivar beside: the same of libvirt, as Nova's own matrix states it.
    :ivar notes: what of it there is, or why there is none.
    :ivar proof: the test that shows it, as pytest names it; empty where nothing is complete.
    """

    key: str
    title: str
    status: str
    support: str
    beside: str
    notes: str
    proof: str = ""


def read(path: Path) -> list[Row]:
    """Read the file, in its own order."""
    parser = configparser.ConfigParser(interpolation=None, delimiters=("=",))
    with path.open() as file:
        parser.read_file(file)
    return [
        Row(
            key=key,
            title=section["title"],
            status=section["status"],
            support=section[f"driver.{DRIVER}"],
            beside=section[f"driver.{BESIDE}"],
            notes=" ".join(section[f"driver-notes.{DRIVER}"].split()),
            proof=section.get(f"driver-proof.{DRIVER}", ""),
        )
        for key, section in parser.items()
        if key.partition(".")[0] in GROUPS
    ]


def page(rows: Iterable[Row]) -> str:
    """Return the page."""
    rows = list(rows)
    counts = {kind: sum(row.support == kind for row in rows) for kind in ("complete", "partial", "missing")}
    return markdown.page(
        "# Support matrix",
        markdown.written_from(SOURCE),
        f"What of Nova's [support matrix]({NOVAS}) a container has today, beside what Nova states of libvirt "
        "with KVM. The keys are Nova's; the [source](support-matrix.ini) is in Nova's format. "
        f"{', '.join(f'{count} {kind}' for kind, count in counts.items())}. A test compares it with the "
        "driver's methods and capabilities; each *complete* row names the test that shows it.",
        *(part for group, title in GROUPS.items() for part in _group(title, rows, prefix=f"{group}.")),
    )


def _group(title: str, rows: Iterable[Row], *, prefix: str) -> list[str]:
    return [
        f"## {title}",
        markdown.table(
            ("feature", "container", "VM (libvirt)", ""),
            [
                (f"{row.title}<br>`{row.key}`", f"**{row.support}**", row.beside, _told(row))
                for row in rows
                if row.key.startswith(prefix)
            ],
        ),
    ]


def _told(row: Row) -> str:
    mandatory = "Nova asks every driver for it. " if row.status == "mandatory" else ""
    return f"{mandatory}{row.notes}{f' `{row.proof}`' if row.proof else ''}"
