# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""A session with the cloud's own APIs, as its administrator."""

from collections.abc import Iterator
from contextlib import contextmanager

import openstack
from keystoneauth1.exceptions import ClientException
from openstack.connection import Connection
from openstack.exceptions import SDKException

from novadocker.errors import NovaDockerError
from novadocker.host.services.model import Cloud

PROJECT = "demo"
MEMBER = "demo"
# Project and user that suites made for DevStack expect beside the first.
ALTERNATIVE = "alt_demo"


@contextmanager
def administrator(cloud: Cloud, *, project: str = "admin") -> Iterator[Connection]:
    """Connect as the administrator, scoped to `project`; no clouds.yaml and no environment is read.

    :raises NovaDockerError: in place of what the SDK raises within the session.
    """
    connection = openstack.connect(
        load_yaml_config=False,
        load_envvars=False,
        auth_type="password",
        auth={
            "auth_url": cloud.url("keystone", "/v3"),
            "username": "admin",
            "password": str(cloud.secrets["admin"]),
            "project_name": project,
            "user_domain_name": "Default",
            "project_domain_name": "Default",
        },
        region_name=cloud.config.region,
        # The catalogue's own entry is behind where the port has moved.
        identity_endpoint_override=cloud.url("keystone", "/v3"),
        app_name="nova-docker",
        api_timeout=60,
    )
    try:
        yield connection
    except (SDKException, ClientException) as error:
        raise NovaDockerError(
            "An API of the cloud refused or did not answer.",
            facts=str(error),
            hint=f"`nova-docker status` shows what is not well; the logs are in {cloud.layout.logs}.",
        ) from error
    finally:
        connection.close()
