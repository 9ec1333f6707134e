# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""Glance, as the place where a moving server's disk is meanwhile."""

import uuid
from collections.abc import Iterator
from typing import Any

from novadocker.virt.docker.errors import ServiceError


class FakeDisks:
    """It keeps disks among the images that can be fetched."""

    def __init__(self, archives: dict[str, bytes]) -> None:
        self.takes = True
        self.held: set[str] = set()
        self._archives = archives

    def put(self, context: Any, instance: Any, data: Iterator[bytes], *, size: int) -> str:
        if not self.takes:
            raise ServiceError("Glance did not take the server's disk.")
        image_id = str(uuid.uuid4())
        self._archives[image_id] = b"".join(data)
        assert len(self._archives[image_id]) == size
        self.held.add(image_id)
        return image_id

    def delete(self, context: Any, image_id: str) -> None:
        self.held.discard(image_id)
