# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""A Glance image is on the daemon, once, under its Glance id; the sandbox's image too."""

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from oslo_concurrency import lockutils
from oslo_log import log as logging

from novadocker.virt.docker import archive, imagecache, names, pause
from novadocker.virt.docker.doors import Engine, Fetch
from novadocker.virt.docker.errors import EngineError, EngineUnreachable, ImageRejected
from novadocker.virt.docker.facts import EngineFacts, Image
from novadocker.virt.docker.imagecache import ImageCache

LOG = logging.getLogger(__name__)

# Bytes, for archives that dockerd itself has written.
_ANY_SIZE = 1 << 60


class Images:
    """The images servers run."""

    def __init__(
        self, *, engine: Engine, fetch: Fetch, facts: Callable[[], EngineFacts], spool: Path
    ) -> None:
        self._engine = engine
        self._fetch = fetch
        self._facts = facts
        self._spool = spool
        self.cache = ImageCache(engine=engine, marks=spool / "used")

    def ensure(self, context: Any, image_id: str, *, disk_limit: int, trusted_certs: Any = None) -> Image:
        """Return the daemon's image for a Glance image, fetching and loading it when it is not there.

        :param disk_limit: bytes its layers may take.
        :param trusted_certs: whose signature it must bear; Nova checks it while it fetches the image, so that
            one that is here already, for somebody who asked for no signature, is fetched again.
        :raises: ImageRejected, EngineError
        """
        tag = names.image_tag(image_id)
        # Before it is looked for: what was needed just now is not removed.
        self.cache.used(image_id)
        image = None if trusted_certs else self._engine.image(tag)
        if image is None:
            # Any number of servers may ask for one image at once; the first loads it, the others find it.
            with imagecache.lock(image_id):
                image = (None if trusted_certs else self._engine.image(tag)) or self._load(
                    context, image_id, tag=tag, disk_limit=disk_limit, trusted_certs=trusted_certs
                )
        if image.size > disk_limit:  # loaded for a flavor with a larger disk, or ahead of all
            raise archive.too_large(disk_limit)
        return image

    def load_ahead(self, context: Any, image_id: str, *, disk_limit: int) -> bool:
        """Load a Glance image for servers to come; says whether it was not there yet.

        :raises: ImageRejected, EngineError
        """
        if self._engine.image(names.image_tag(image_id)) is not None:
            self.cache.used(image_id)
            return False
        self.ensure(context, image_id, disk_limit=disk_limit)
        return True

    def kept(self, uuid: str) -> Image | None:
        """Return the image that holds a server's own disk, where its container was made again; None else."""
        return self._engine.image(names.kept_tag(uuid))

    def take_in(self, context: Any, image_id: str, *, tag: str) -> None:
        """Load a disk that came from another host; what it may hold was decided there."""
        self._load(context, image_id, tag=tag, disk_limit=_ANY_SIZE, trusted_certs=None)

    def sandbox(self) -> str:
        """Return the id of the sandbox's image, making it when it is not there."""
        tag, content = pause.archive(self._facts().image_architecture)
        with lockutils.lock("nova-docker-sandbox-image"):
            image = self._engine.image(tag)
            if image is None:
                self._engine.load([content])
                image = self._engine.image(tag)
        if image is None:
            raise ImageRejected("The Docker daemon loaded the sandbox image but does not know it.", facts=tag)
        return image.id

    def _load(self, context: Any, image_id: str, *, tag: str, disk_limit: int, trusted_certs: Any) -> Image:
        self._spool.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=self._spool, prefix="image-") as spooled:
            self._fetch(context, image_id, _Bounded(spooled, limit=disk_limit), trusted_certs=trusted_certs)
            spooled.flush()
            inspected = archive.inspect(
                Path(spooled.name), architecture=self._facts().image_architecture, disk_limit=disk_limit
            )
            try:
                self._engine.load(archive.rewritten(inspected, tag=tag))
            except EngineUnreachable:
                raise
            except EngineError as error:
                raise ImageRejected("The Docker daemon refused it:", facts=error.facts) from error
        image = self._engine.image(tag)
        if image is None:
            raise ImageRejected("The Docker daemon took it without an error but does not know it.", facts=tag)
        LOG.info("Loaded image %(id)s as %(image)s", {"id": image_id, "image": image.id})
        return image


class _Bounded:
    """A file that takes no more than an image may have: Glance may send more than it said, or for ever."""

    def __init__(self, file: Any, *, limit: int) -> None:
        self._file = file
        self._limit = limit
        self._written = 0

    def write(self, chunk: bytes) -> int:
        self._written += len(chunk)
        if self._written > self._limit + archive.OVERHEAD:
            raise archive.too_large(self._limit)
        return int(self._file.write(chunk))

    def truncate(self, size: int) -> int:
        return int(self._file.truncate(size))
