# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""The ways into the cloud that `up` hands to its user."""

import shlex

from novadocker.host.bootstrap.session import ALTERNATIVE, MEMBER, PROJECT
from novadocker.host.clients import CloudAccess
from novadocker.host.services.model import Cloud

# What a client speaks to: the servers in the catalogue, and that of serial consoles.
_SERVERS = ("keystone", "glance", "placement", "nova-api", "neutron", "nova-serialproxy")


def accesses(cloud: Cloud) -> tuple[CloudAccess, CloudAccess]:
    """Administrator and member, both in the demo project; the entry of the first carries the cloud's name."""
    name = cloud.config.name
    return (
        _access(cloud, name=name, user="admin", secret="admin", project=PROJECT),
        _access(cloud, name=f"{name}-member", user=MEMBER, secret="member", project=PROJECT),
    )


def entries(cloud: Cloud) -> tuple[CloudAccess, ...]:
    """All that stand in the user's clouds.yaml: `accesses`, and DevStack's names for them where wanted.

    What its names mean: functions-common of DevStack, `write_clouds_yaml`.
    """
    if not cloud.config.devstack:
        return accesses(cloud)
    return (
        *accesses(cloud),
        _access(cloud, name="devstack", user=MEMBER, secret="member", project=PROJECT),
        _access(cloud, name="devstack-admin", user="admin", secret="admin", project="admin"),
        _access(cloud, name="devstack-alt", user=ALTERNATIVE, secret="alt", project=ALTERNATIVE),
        _access(cloud, name="devstack-system-admin", user="admin", secret="admin", system_scope="all"),
    )


def tunnel(cloud: Cloud, *, to: str) -> str:
    """Return the command that makes another machine's loopback lead to our servers, by ssh(1)."""
    ports = [cloud.config.ports[name] for name in _SERVERS]
    return shlex.join(["ssh", "-N", *(f"-L{port}:127.0.0.1:{port}" for port in ports), to])


def _access(
    cloud: Cloud, *, name: str, user: str, secret: str, project: str = "", system_scope: str = ""
) -> CloudAccess:
    return CloudAccess(
        name=name,
        auth_url=cloud.url("keystone", "/v3"),
        username=user,
        password=str(cloud.secrets[secret]),
        project_name=project,
        system_scope=system_scope,
        region_name=cloud.config.region,
    )
