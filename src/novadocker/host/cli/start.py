# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""Where the command begins: beside a plain Nova it says what it lacks."""

import sys


def main() -> None:
    """Run the command line, if what it stands on is there."""
    try:
        from novadocker.host.cli import main as verbs
    except ModuleNotFoundError as missing:
        if (missing.name or "").startswith("novadocker"):
            raise
        print(
            f"✗ This Python has no {missing.name}: the driver alone is installed here.\n"
            "  → pip install 'nova-docker[host]', best in an environment apart from Nova's.",
            file=sys.stderr,
        )
        sys.exit(1)
    verbs.main()
