# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""One `up` or `down` of a cloud at a time."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from novadocker.errors import NovaDockerError


@contextmanager
def held(root: Path) -> Iterator[None]:
    """Hold the cloud's lock, which is its folder itself: no file is left, and a crash releases it.

    :raises NovaDockerError: if another process holds it.
    """
    while True:
        root.mkdir(parents=True, exist_ok=True)
        handle = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
        try:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise NovaDockerError(
                    "Another nova-docker works on this cloud.", facts=f"{root} is locked",
                    hint="Wait for it to end; `fuser` on that folder names it.",
                ) from error  # fmt: skip
            # A `down` that ended meanwhile took the folder away: what we hold is no longer the one in place.
            if root.exists() and os.fstat(handle).st_ino == root.stat().st_ino:
                yield
                return
        finally:
            os.close(handle)
