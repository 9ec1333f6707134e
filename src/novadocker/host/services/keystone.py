# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""Keystone: who is who."""

from novadocker.host.services import shared
from novadocker.host.services.ini import ini
from novadocker.host.services.model import Cloud, ConfigFile, Folder, Service


def keystone(cloud: Cloud) -> Service:
    """The identity API."""
    settings = cloud.layout.etc / "keystone" / "keystone.conf"
    keys = cloud.layout.data / "keystone"
    return shared.api(
        cloud,
        name="keystone",
        application="keystone.wsgi.api:application",
        environment={"OS_KEYSTONE_CONFIG_FILES": str(settings)},
        needs=("keystone-schema",),
        path="/v3",
        files=(
            ConfigFile(
                path=settings,
                content=ini(
                    {
                        "DEFAULT": shared.default_section(),
                        "database": shared.database_section(cloud, "keystone"),
                        "token": {"provider": "fernet", "expiration": 14400},
                        "fernet_tokens": {"key_repository": str(keys / "fernet-keys")},
                        "credential": {"key_repository": str(keys / "credential-keys")},
                        "fernet_receipts": {"key_repository": str(keys / "fernet-keys")},
                        "cache": {"enabled": True, "backend": "dogpile.cache.memory"},
                        "oslo_policy": {"enforce_scope": True, "enforce_new_defaults": True},
                    }
                ),
            ),
        ),
        folders=(
            Folder(path=keys),
            Folder(path=keys / "fernet-keys", mode=0o700),
            Folder(path=keys / "credential-keys", mode=0o700),
        ),
    )
