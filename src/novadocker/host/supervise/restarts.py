# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""How often a service ended and was started again since somebody last asked for its start.

Its start script notes each start. A supervisor that never gives up would otherwise show a service that dies
every two seconds as one that runs.
"""

import time

from novadocker.host.state import Layout

# So many deaths within so many seconds are no accident.
MANY, WITHIN = 10, 600


def deaths(layout: Layout, name: str, *, now: float | None = None) -> int:
    """How often the service ended unasked of late; a start asked for is none."""
    try:
        noted = (layout.starts / name).read_text().split()
    except FileNotFoundError:
        return 0
    began = (time.time() if now is None else now) - WITHIN
    return sum(int(each) > began for each in noted[1:])


def forget(layout: Layout, name: str) -> None:
    """Begin to count anew: the next start is one that was asked for."""
    (layout.starts / name).unlink(missing_ok=True)


def restless(layout: Layout, name: str) -> str:
    """A sentence on a service that keeps ending; empty for any other."""
    count = deaths(layout, name)
    if count < MANY:
        return ""
    return f"{name} ended {count} times within {WITHIN // 60} minutes, and is started again each time."
