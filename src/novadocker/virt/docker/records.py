# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""What Nova remembers of a server's image, mended where a refused rebuild left another's.

Nova's API writes the new image's properties into a server's record, and the image into its scheduling
request, before anybody has agreed to the rebuild. Refused, the conductor restores the image's id alone
(nova/conductor/manager.py, rebuild_instance). The server's command would be another image's, and the next
move would look for a host for virtual machines.
"""

from typing import Any

from nova import exception, objects, utils
from oslo_log import log as logging
from oslo_messaging import exceptions as messaging_exceptions

from novadocker.virt.docker.doors import ImageService

LOG = logging.getLogger(__name__)

_FORMAT = f"{utils.SM_IMAGE_PROP_PREFIX}container_format"
_BASE = f"{utils.SM_IMAGE_PROP_PREFIX}base_image_ref"


def mend(context: Any, instance: Any, *, service: ImageService) -> bool:
    """Write the properties of a container's own image into its record again; say whether that was needed."""
    if instance.system_metadata.get(_FORMAT, "docker") == "docker" or not instance.image_ref:
        return False
    try:
        image = service.get(context, instance.image_ref)
    except (exception.ImageNotFound, exception.ImageNotAuthorized, exception.GlanceConnectionFailed) as error:
        LOG.warning("Another image's properties stay with the server: %s", error, instance=instance)
        return False
    kept = {
        key: value
        for key, value in instance.system_metadata.items()
        if not key.startswith(utils.SM_IMAGE_PROP_PREFIX)
    }
    known = utils.get_system_metadata_from_image(image, instance.flavor)
    instance.system_metadata = {**kept, _BASE: instance.image_ref, **known}
    instance.save()
    _mend_request(context, instance, image)
    LOG.info("The server's record has its own image's properties again", instance=instance)
    return True


def _mend_request(context: Any, instance: Any, image: dict[str, Any]) -> None:
    try:
        request = objects.RequestSpec.get_by_instance_uuid(context, instance.uuid)
        request.image = objects.ImageMeta.from_dict(image)
        request.save()
    except (exception.NovaException, messaging_exceptions.MessagingException) as error:
        # A conductor of the cell alone does not reach the database the request is in.
        LOG.warning("The server's scheduling request keeps the refused image: %s", error, instance=instance)
