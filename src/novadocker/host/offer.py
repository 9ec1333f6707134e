# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""The system container image in the cloud's image service, for every project."""

import hashlib
from collections.abc import Callable
from pathlib import Path

from novadocker.host.bootstrap import session
from novadocker.host.images.system import system_image
from novadocker.host.services.model import Cloud

NAME = "debian-12-system"
# Shown to users, and kept by schedulers: it unpacks to 200 MB, and cloud-init alone takes 60 MB.
_PROPERTIES = {"os_distro": "debian", "os_version": "12", "os_type": "linux"}
_MIN_DISK, _MIN_RAM = 1, 256


def system(cloud: Cloud, *, say: Callable[[str], None]) -> tuple[Path, str, bool]:
    """Build the image and offer it; returns its file, its id, and whether anything was done.

    An older one of that name is replaced; its servers go on.

    :raises NovaDockerError: as building it does.
    """
    built = system_image(cloud.layout.images, say=say)
    with built.archive.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha512").hexdigest()
    with session.administrator(cloud, project=session.PROJECT) as connection:
        older = list(connection.image.images(name=NAME, visibility="public"))
        for image in older:
            if image.hash_value == digest and image.status == "active":
                return built.archive, str(image.id), built.changed
        say(f"uploading {built.archive.stat().st_size >> 20} MiB")
        image = connection.image.create_image(
            name=NAME,
            filename=str(built.archive),
            container_format="docker",
            disk_format="raw",
            visibility="public",
            min_disk=_MIN_DISK,
            min_ram=_MIN_RAM,
            wait=True,
            **_PROPERTIES,
        )
        for each in older:
            connection.image.delete_image(each)
    return built.archive, str(image.id), True
