# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""Placement: who has how much left."""

from novadocker.host.services import shared
from novadocker.host.services.ini import ini
from novadocker.host.services.model import Cloud, ConfigFile, Service


def placement(cloud: Cloud) -> Service:
    """The placement API."""
    etc = cloud.layout.etc / "placement"
    return shared.api(
        cloud,
        name="placement",
        application="placement.wsgi.api:application",
        environment={"OS_PLACEMENT_CONFIG_DIR": str(etc)},
        needs=("placement-schema",),
        files=(
            ConfigFile(
                path=etc / "placement.conf",
                content=ini(
                    {
                        "DEFAULT": shared.default_section(),
                        "placement_database": shared.database_section(cloud, "placement"),
                        "api": {"auth_strategy": "keystone"},
                        **shared.token_sections(cloud, "placement"),
                    }
                ),
            ),
        ),
    )
