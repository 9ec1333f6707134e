# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""What the driver claims to Nova, in one table: true only for what it really does."""

TRAIT = "CUSTOM_HYPERVISOR_DOCKER"

CAPABILITIES = {
    "has_imagecache": True,
    "supports_evacuate": True,
    "supports_migrate_to_same_host": False,
    "supports_attach_interface": True,
    "supports_device_tagging": True,
    "supports_tagged_attach_interface": True,
    "supports_tagged_attach_volume": False,
    "supports_extend_volume": False,
    "supports_multiattach": False,
    # Glance's signature check happens while the image is fetched, whoever fetches it.
    "supports_trusted_certs": True,
    "supports_pcpus": True,
    "supports_accelerators": False,
    "supports_remote_managed_ports": False,
    # A docker-save archive is registered with disk_format=raw.
    "supports_image_type_raw": True,
}
