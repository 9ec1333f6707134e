# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""A server's disk becomes an image in Glance. Createimage, backup and shelving all end here."""

from collections.abc import Callable
from typing import Any

from oslo_log import log as logging

from novadocker.virt.docker.disk_image import Reader
from novadocker.virt.docker.disks import Disks
from novadocker.virt.docker.doors import ImageService
from novadocker.virt.docker.errors import UploadIncomplete

LOG = logging.getLogger(__name__)


class Snapshots:
    """Takes snapshots. Whoever asked for one removes the image in Glance when it fails."""

    def __init__(self, *, disks: Disks, service: ImageService) -> None:
        self._disks = disks
        self._service = service

    def take(self, context: Any, instance: Any, image_id: str, *, uploading: Callable[[], None]) -> None:
        """Write a server's disk into an image that is there, and empty.

        :param uploading: called when the disk is ready to be uploaded; what it raises ends the snapshot.
        :raises: EngineError, UploadIncomplete, and what the image service raises, which is that there is no
            such image where its owner has deleted it meanwhile.
        """
        name = self._service.get(context, image_id)["name"]
        with self._disks.export(instance.uuid) as export:
            uploading()
            try:
                image = self._service.update(
                    context, image_id, _described(instance, name=name), data=Reader(export.chunks)
                )
            except Exception:
                # One deleted during its upload is called gone, a conflict or not found; here, not found.
                self._service.get(context, image_id)
                raise
        # The client sends again when a connection breaks, but what was read once does not come again.
        if image.get("size") != export.size:
            raise UploadIncomplete(
                "The image service did not get the whole disk.",
                facts=f"It has {image.get('size')} bytes of {export.size}.",
                hint="Take the snapshot again.",
            )
        LOG.info(
            "Uploaded %(size)d bytes as image %(id)s",
            {"size": export.size, "id": image_id},
            instance=instance,
        )


def _described(instance: Any, *, name: str) -> dict[str, Any]:
    """Return what the image service is told; a refused rebuild may have left the other kind's formats."""
    return {
        "name": name,
        "container_format": "docker",
        "disk_format": "raw",
        "properties": {
            "image_location": "snapshot",
            "image_state": "available",
            "owner_id": instance.project_id,
        },
    }
