# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""Which pages there are, and what each should say now."""

from collections.abc import Callable, Mapping
from pathlib import Path

from tools.reference import commands, configuration, doctor, flavors, matrix, options

ROOT = Path(__file__).resolve().parents[2]
COMMAND = "make docs-reference"

# By the path from the repository's root.
PAGES: Mapping[str, Callable[[], str]] = {
    "docs/reference/driver-options.md": options.page,
    "docs/reference/cli.md": commands.page,
    "docs/reference/doctor.md": lambda: doctor.page(doctor.read(ROOT / doctor.SOURCE)),
    "docs/reference/flavors.md": flavors.page,
    "docs/reference/configuration.md": configuration.page,
    "docs/reference/support-matrix.md": lambda: matrix.page(matrix.read(ROOT / matrix.SOURCE)),
}


def write() -> list[str]:
    """Write the pages that differ from what they should say; return their names."""
    changed = []
    for name, page in PAGES.items():
        path, text = ROOT / name, page()
        if not path.is_file() or path.read_text() != text:
            path.write_text(text)
            changed.append(name)
    return changed
