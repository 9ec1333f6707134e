# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""Gates: a container's process is made ready while its network still is, and begins when its gate opens.

Of Docker's start the process itself is the last step, and the shortest. The runtime waits with it for as long
as a gate of the container's id is locked (novadocker/oci_runtime.py), and goes on if that was opened. A lock
ends with its holder: where nova-compute dies, the start fails.
"""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from novadocker.oci_runtime import OPEN


class Gates:
    """The gates of this host's containers, files in a folder that the runtime knows, too.

    :param folder: None where containers are started without.
    """

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder

    @property
    def there(self) -> bool:
        """Whether starts can be held."""
        return self._folder is not None

    def prepare(self) -> None:
        """Make the folder; gates of a nova-compute that was killed hold nothing any more and go."""
        if self._folder is not None:
            self._folder.mkdir(parents=True, exist_ok=True)
            for left in self._folder.iterdir():
                left.unlink()

    @contextmanager
    def shut(self, container: str) -> Iterator["Gate"]:
        """Hold the starts of a container, by its id, until its gate is opened or this ends."""
        if self._folder is None:
            raise ValueError("There are no gates.")
        path = self._folder / container
        with path.open("wb", buffering=0) as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            gate = Gate(file.fileno(), path)
            try:
                yield gate
            finally:
                path.unlink()


class Gate:
    """One that is shut."""

    def __init__(self, file: int, path: Path) -> None:
        self._file = file
        self._path = path

    def open(self) -> None:
        """Let the process begin."""
        self._path.write_text(f"{OPEN}\n")
        fcntl.flock(self._file, fcntl.LOCK_UN)

    def close(self) -> None:
        """Have the start that waits fail."""
        fcntl.flock(self._file, fcntl.LOCK_UN)
