# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""The two ways into the cloud that `up` hands to its user: as administrator and as plain member."""

from novadocker.host.bootstrap.session import MEMBER, PROJECT
from novadocker.host.clients import CloudAccess
from novadocker.host.services.model import Cloud


def accesses(cloud: Cloud) -> tuple[CloudAccess, CloudAccess]:
    """Administrator and member, both in the demo project; the entry of the first carries the cloud's name."""
    name = cloud.config.name
    return (
        _access(cloud, name=name, user="admin", secret="admin"),
        _access(cloud, name=f"{name}-member", user=MEMBER, secret="member"),
    )


def _access(cloud: Cloud, *, name: str, user: str, secret: str) -> CloudAccess:
    return CloudAccess(
        name=name,
        auth_url=cloud.url("keystone", "/v3"),
        username=user,
        password=str(cloud.secrets[secret]),
        project_name=PROJECT,
        region_name=cloud.config.region,
    )
