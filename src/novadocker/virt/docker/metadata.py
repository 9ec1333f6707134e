# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""What Nova tells a server about itself: on its config drive, and the password it asks the metadata for."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from nova import crypto
from nova.api.metadata import base, password
from oslo_serialization import base64


def drive_content(
    instance: Any, network_info: Any, *, files: Sequence[tuple[str, bytes]], password: str | None
) -> Iterator[tuple[str, bytes]]:
    """Return what belongs on a server's config drive, path by path; the same as on a VM's."""
    found: Iterable[tuple[str, Any]] = base.InstanceMetadata(
        instance,
        content=list(files),
        extra_md={"admin_pass": password} if password else None,
        network_info=network_info,
    ).metadata_for_config_drive()
    for path, data in found:
        yield path, data.encode() if isinstance(data, str) else bytes(data)


def save_password(instance: Any, new: str) -> None:
    """Keep a server's password where its owner can ask for it, if a key of RSA can hide it.

    As libvirt's driver does after a change (nova/virt/libvirt/driver.py).
    """
    key = instance.key_data or ""
    if key.startswith("ssh-rsa"):
        hidden = base64.encode_as_bytes(crypto.ssh_encrypt_text(key, new))
        instance.system_metadata.update(password.convert_password(None, hidden))
        instance.save()
