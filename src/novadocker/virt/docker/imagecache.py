# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""Which Glance images lie loaded on the daemon, when each was last needed, and which may go."""

import time
from collections.abc import Callable, Collection
from pathlib import Path

from oslo_concurrency import lockutils
from oslo_log import log as logging

from novadocker.virt.docker import names
from novadocker.virt.docker.doors import Engine
from novadocker.virt.docker.errors import Busy

LOG = logging.getLogger(__name__)


def lock(image_id: str) -> lockutils.lock:
    """Return the lock of those who load an image, look for it, or remove it."""
    return lockutils.lock(f"nova-docker-image-{image_id}")


class ImageCache:
    """The images that came from Glance, and a file for each whose time of change is its last use.

    Files, because they outlive nova-compute, and the daemon keeps no such time for images that were loaded.
    """

    def __init__(self, *, engine: Engine, marks: Path, now: Callable[[], float] = time.time) -> None:
        self._engine = engine
        self._marks = marks
        self._now = now

    def used(self, image_id: str) -> None:
        """Note that an image is needed now."""
        self._marks.mkdir(parents=True, exist_ok=True)
        (self._marks / image_id).touch()

    def reclaim(self, needed: Collection[str], *, unused_for: float) -> list[str]:
        """Remove images that no server needs, once for long enough; return their ids.

        :param needed: Glance ids of the images of all servers that Nova knows of here.
        :param unused_for: seconds.
        """
        loaded = [tag.rpartition(":")[2] for tag in self._engine.tagged(names.IMAGE_REPOSITORY)]
        for image_id in loaded:
            # One without a mark begins to age today.
            if image_id in needed or not (self._marks / image_id).exists():
                self.used(image_id)
        gone = [image_id for image_id in loaded if self._removed(image_id, unused_for=unused_for)]
        for mark in self._marks.glob("*"):
            if mark.name not in loaded or mark.name in gone:
                mark.unlink(missing_ok=True)
        return gone

    def _removed(self, image_id: str, *, unused_for: float) -> bool:
        with lock(image_id):
            if self._now() - (self._marks / image_id).stat().st_mtime < unused_for:
                return False
            try:
                self._engine.untag(names.image_tag(image_id))
            except Busy:  # a container is made of it: a server being moved, rescued, or not Nova's any more
                self.used(image_id)
                return False
        LOG.info("Removed image %s: no server has needed it for %d s", image_id, unused_for)
        return True
