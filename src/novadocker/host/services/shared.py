# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""Sections that several OpenStack services have in common."""

from novadocker.host.services import rabbitmq
from novadocker.host.services.ini import Sections, Value
from novadocker.host.services.model import Cloud, ConfigFile, Folder, Http, Service


def default_section() -> dict[str, Value]:
    """Logging as all services do it: to standard error, which the supervisor keeps in one file a service."""
    return {
        "debug": False,
        "use_stderr": True,
        "default_log_levels": [
            "oslo_messaging=INFO",
            "keystonemiddleware=WARN",
            "amqp=WARN",
            "stevedore=WARN",
        ],
    }


def transport_url(cloud: Cloud) -> str:
    """RabbitMQ as oslo.messaging names it."""
    return (
        f"rabbit://{rabbitmq.CLIENT}:{cloud.secrets['rabbitmq']}@127.0.0.1:{cloud.config.ports['rabbitmq']}/"
    )


def auth_section(cloud: Cloud, user: str) -> dict[str, str]:
    """How a service user shows who it is (keystoneauth options)."""
    return {
        "auth_type": "password",
        "auth_url": cloud.url("keystone", "/v3"),
        "username": user,
        "password": cloud.secrets[f"{user}-user"],
        "project_name": "service",
        "user_domain_name": "Default",
        "project_domain_name": "Default",
        "region_name": cloud.config.region,
    }


def token_sections(cloud: Cloud, user: str) -> Sections:
    """How an API checks its callers' tokens, and shows its own beside theirs to the next one."""
    return {
        "keystone_authtoken": {
            **auth_section(cloud, user),
            "www_authenticate_uri": cloud.url("keystone", "/v3"),
            "service_token_roles": "service",
            "service_token_roles_required": True,
        },
        "service_user": {**auth_section(cloud, user), "send_service_user_token": True},
    }


def database_section(cloud: Cloud, name: str, *, user: str = "") -> dict[str, str | int]:
    """A database of ours and how many connections a process may keep."""
    return {"connection": cloud.database(name, user=user), "max_pool_size": 5, "max_overflow": 30}


def messaging_sections(cloud: Cloud) -> Sections:
    """RabbitMQ with heartbeats in a thread of their own, as servers with native threads want it.

    Requests lie on the broker's disk until somebody takes them, and so outlive it. Whoever lost it tries to
    reach it again every second, instead of less and less often.
    """
    return {
        "oslo_messaging_rabbit": {
            "heartbeat_in_pthread": True,
            "amqp_durable_queues": True,
            "rabbit_retry_interval": 1,
            "rabbit_retry_backoff": 0,
            "rabbit_interval_max": 1,
        }
    }


def api(
    cloud: Cloud,
    *,
    name: str,
    application: str,
    environment: dict[str, str],
    needs: tuple[str, ...],
    files: tuple[ConfigFile, ...],
    folders: tuple[Folder, ...] = (),
    path: str = "/",
    threads: int = 12,
) -> Service:
    """One of OpenStack's WSGI applications as a service on its port."""
    port = cloud.config.ports[name]
    serve = (cloud.bin("python"), "-m", "novadocker.host.wsgi", application)
    return Service(
        name=name,
        command=(*serve, "127.0.0.1", str(port), str(threads)),
        ready=Http(f"http://127.0.0.1:{port}{path}"),
        needs=needs,
        user=cloud.config.user,
        environment=environment,
        files=files,
        folders=folders,
        within=90,
    )
