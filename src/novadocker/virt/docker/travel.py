# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""A server's disk on its way to another host, as an image in Glance.

The image belongs to the server's project, whoever moves the server: an administrator's migration can be
finished by its owner's hard reboot. It is hidden from lists, and nobody else's.
"""

from collections.abc import Iterator
from typing import Any

from nova.exception import ImageNotFound, NovaException
from nova.image import glance

from novadocker.virt.docker.disk_image import Reader
from novadocker.virt.docker.errors import ServiceError


class GlanceDisks:
    """Glance, asked with the credentials of the request."""

    def __init__(self) -> None:
        self._glance = glance.API()

    def put(self, context: Any, instance: Any, data: Iterator[bytes], *, size: int) -> str:
        """Store a disk of so many bytes and return its image's id; on failure nothing stays there."""
        described = {
            "name": f"disk of {instance.uuid}, moving",
            "container_format": "docker",
            "disk_format": "raw",
            "is_public": False,
            "os_hidden": True,
            "owner": instance.project_id,
        }
        try:
            image_id = str(self._glance.create(context, described)["id"])
        except NovaException as error:
            raise ServiceError("Glance makes no image for the server's disk.", facts=str(error)) from error
        try:
            image = self._glance.update(context, image_id, {}, data=Reader(data))
        except Exception as error:
            self.delete(context, image_id)
            raise ServiceError("Glance did not take the server's disk.", facts=str(error)) from error
        # What was sent again after a broken connection begins where it broke.
        if image["size"] != size:
            self.delete(context, image_id)
            facts = f"It has {image['size']} bytes of {size}."
            raise ServiceError("Glance did not get the whole disk.", facts=facts)
        return image_id

    def delete(self, context: Any, image_id: str) -> None:
        """Remove a disk; one that is gone already is fine."""
        try:
            self._glance.delete(context, image_id)
        except ImageNotFound:
            return
        except NovaException as error:
            raise ServiceError("Glance did not remove the server's disk.", facts=str(error)) from error
