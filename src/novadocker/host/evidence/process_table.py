# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""The machine's processes, for several who ask at a time."""

from collections.abc import Iterator
from typing import Any

import psutil


def rows(*attributes: str) -> Iterator[dict[str, Any]]:
    """What psutil knows of each process by these names; None where the kernel does not tell us.

    Not by `psutil.process_iter`: it keeps its objects, and a list of process ids that were given anew, for
    all threads and for later; two that ask at the same time change them below each other's hands.
    """
    for pid in psutil.pids():
        try:
            yield psutil.Process(pid).as_dict(attributes)
        except psutil.NoSuchProcess:  # it ended
            continue
