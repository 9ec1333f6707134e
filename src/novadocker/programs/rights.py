# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""In a process that is root, what oslo.privsep would have a daemon do is done by the process itself.

Each of a program's contexts is a daemon that imports the program once more: a second of processor time at its
first use, and 40 to 110 MB. They protect a program that runs as a user. One that is root with all
capabilities can do whatever its daemons can (docs/explanation/security.md).
"""

import os
from typing import Any

from oslo_privsep import priv_context


class Here(priv_context.PrivContext):  # type: ignore[misc]  # its package has no types
    """A context whose functions run where they are called."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.set_client_mode(False)


def install() -> None:
    """Make every context that is declared from now on one of those; without root's rights change nothing."""
    if os.geteuid() == 0:
        priv_context.PrivContext = Here
