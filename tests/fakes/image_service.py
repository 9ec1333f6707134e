# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""Glance in memory, as Nova's client of it behaves."""

import uuid
from collections.abc import Callable
from typing import Any

from nova import exception

_CHUNK = 1000


class FakeImageService:
    """Images by id.

    `meanwhile` is called in the middle of an upload. With `breaks`, the connection breaks there, and the
    client sends again: from where it had read to, as Nova's does.
    """

    def __init__(self) -> None:
        self.images: dict[str, dict[str, Any]] = {}
        self.data: dict[str, bytes] = {}
        self.meanwhile: Callable[[], None] = lambda: None
        self.breaks = False

    def create(self, **known: Any) -> str:
        """Make an image as Nova's API does before it asks for a snapshot."""
        image_id = str(uuid.uuid4())
        self.images[image_id] = {"id": image_id, "name": "snap", "status": "queued", **known}
        return image_id

    def get(self, context: Any, id_or_uri: str) -> dict[str, Any]:
        if id_or_uri not in self.images:
            raise exception.ImageNotFound(image_id=id_or_uri)
        return self.images[id_or_uri]

    def update(
        self, context: Any, id_or_uri: str, image_info: dict[str, Any], data: Any = None
    ) -> dict[str, Any]:
        image = self.get(context, id_or_uri)
        image.update(image_info)
        received = data.read(_CHUNK)
        self.meanwhile()
        if self.breaks:
            received = b""
        while chunk := data.read(_CHUNK):
            received += chunk
        if id_or_uri not in self.images:
            raise exception.NovaException("410 Gone")
        self.data[id_or_uri] = received
        image.update(status="active", size=len(received))
        return image
