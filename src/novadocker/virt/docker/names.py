# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""Names, labels and marks: everything we create on a host is named here and nowhere else.

Removal goes by label or mark, never by a name somebody else could have chosen.
"""

import re

LABEL_UUID = "nova.docker.uuid"
LABEL_HOST = "nova.docker.host"
LABEL_ROLE = "nova.docker.role"
LABEL_NAME = "nova.docker.name"

SANDBOX = "sandbox"
WORKLOAD = "workload"
SNAPSHOT = "snapshot"
# Of a server's own container while the server is in rescue: in its name only, for a label stays as it is.
RESCUED = "rescued"

# The files that keep a server's namespaces, as /proc/PID/ns calls them; oci_runtime.py knows them, too.
NETWORK, USER = "net", "user"

# external_ids of an OVS Interface; the value is the CONF.host of the nova-compute that plugged it.
OWNER_MARK = "nova-docker-host"

IMAGE_REPOSITORY = "nova-docker/glance"
KEPT_REPOSITORY = "nova-docker/kept"
SNAPSHOT_REPOSITORY = "nova-docker/snapshot"
BEFORE_REPOSITORY = "nova-docker/before"
# Below the daemon's own root, so that root of a container can pass through to it.
EPHEMERAL_FOLDER = "nova-docker"

SANDBOX_REPOSITORY = "nova-docker/sandbox"

# IFNAMSIZ is 16 with the closing zero; Nova itself cuts device names at 14.
_DEVICE_NAME_LENGTH = 14
_ALIAS_PREFIX = "nova-docker:"


def container(*, uuid: str, role: str) -> str:
    """Return the name of a server's container."""
    return f"nova-{uuid}" if role == WORKLOAD else f"nova-{uuid}-{role}"


def set_aside(name: str) -> bool:
    """Say whether a name is that of a server's own container while another stands in for it."""
    return name.endswith(f"-{RESCUED}")


def labels(*, uuid: str, host: str, role: str, name: str) -> dict[str, str]:
    """Return the labels by which a container is found again."""
    return {LABEL_UUID: uuid, LABEL_HOST: host, LABEL_ROLE: role, LABEL_NAME: name}


def image_tag(image_id: str) -> str:
    """Return the only tag a Glance image has on the daemon; no tenant chose any part of it."""
    return f"{IMAGE_REPOSITORY}:{image_id}"


def kept_tag(uuid: str) -> str:
    """Return the tag of the image that holds a server's disk while its container is made again."""
    return f"{KEPT_REPOSITORY}:{uuid}"


def snapshot_tag(uuid: str) -> str:
    """Return the tag of the image that holds a running server's disk while a snapshot of it is uploaded."""
    return f"{SNAPSHOT_REPOSITORY}:{uuid}"


def before_tag(uuid: str) -> str:
    """Return the tag of the image that holds a server's disk as it was before it began to move."""
    return f"{BEFORE_REPOSITORY}:{uuid}"


def peer_device(port_id: str) -> str:
    """Return the name the container's end of a port has until it is inside the container."""
    return f"ndp{port_id}"[:_DEVICE_NAME_LENGTH]


def guest_device(index: int) -> str:
    """Return the name of a server's interface inside the container."""
    return f"eth{index}"


def device_alias(*, host: str, port_id: str) -> str:
    """Return the alias (ifalias) that tells whose device the host's end of a port is."""
    return f"{_ALIAS_PREFIX}{host}:{port_id}"


def alias_owner(alias: str) -> str | None:
    """Return the CONF.host written in a device's alias, or None for a device that is not ours."""
    if not alias.startswith(_ALIAS_PREFIX):
        return None
    return alias.removeprefix(_ALIAS_PREFIX).rpartition(":")[0]


def hostname(wanted: str | None, *, fallback: str) -> str:
    """Return a hostname the kernel and a resolver accept (RFC 1123, 63 bytes)."""
    cleaned = re.sub(r"[^a-z0-9-]+", "-", (wanted or "").lower()).strip("-")[:63].strip("-")
    return cleaned or fallback
