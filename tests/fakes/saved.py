# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""A saved cloud with little in it, and the versions with which it can be loaded."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from novadocker.host.saved import archive
from novadocker.host.saved.manifest import Entry, Manifest

HERE = {
    "nova": "34.0.0", "neutron": "29.0.0", "keystone": "30.0.0", "glance": "33.0.0",
    "openstack-placement": "16.0.0", "mariadb": "10.11", "nova-docker": "2",
}  # fmt: skip
MANIFEST = Manifest(
    made="2026-11-22T16:30:00Z",
    name="nova-docker",
    hostname="runner-1",
    fixed={
        "region": "RegionOne",
        "network_backend": "ovn",
        "external_cidr": "172.24.4.0/24",
        "private_cidr": "10.20.0.0/24",
    },
    architecture="x86_64",
    versions=HERE | {"nova-docker": "1"},
    keypair="ssh-ed25519 AAAA",
    entries=(Entry(path="secrets.json", size=2, sha256="0" * 64),),
)
IMAGE = "glance/images/7d6b6c0e-6f0a-4e6f-8d3e-2f1c1b1b1b1b"
CONTENT = {
    "keystone/fernet-keys/0": b"old key",
    "keys/nova-docker": b"old half",
    "mariadb/ibdata1": bytes(3 << 20) + b"pages" + bytes(100),
    "mariadb/nova/instances.ibd": b"rows",
    "secrets.json": b'{"admin": "old"}',
    IMAGE: b"image" * 1000,
}


def write(target: Path, *, folder: Path, **changes: Any) -> Manifest:
    """Write a saved cloud whose files lie in `folder` first; `changes` are of its manifest."""
    for path, data in CONTENT.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(data)
    entries = tuple(archive.entry(path, folder / path) for path in CONTENT)
    manifest = replace(MANIFEST, **{"entries": entries, **changes})
    archive.write(target, manifest, folder=folder)
    return manifest
