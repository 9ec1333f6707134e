# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""Sections that several OpenStack services have in common."""

from pathlib import Path

from novadocker.host.services import rabbitmq
from novadocker.host.services.ini import Sections, Value
from novadocker.host.services.model import Cloud, ConfigFile, Folder, Http, Service

# What starts a program is no program: who looks at processes leaves it out. (-P: root's imports nothing from
# the folder it runs in, where there is a folder `neutron` of another user's.)
SINGLE = ("-P", "-m", "novadocker.programs.single")
# What waits in a program's place, and has not loaded it yet.
ON_DEMAND = "novadocker.programs.on_demand"


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


def cache(cloud: Cloud, user: str) -> Path:
    """Where the user's programs keep the list of all plugins; their own, for they run what is in it."""
    return cloud.layout.data / "cache" / (user or "root")


def program(cloud: Cloud, name: str, *arguments: str) -> tuple[str, ...]:
    """How one of OpenStack's programs is started: in one process, whatever it would make of itself."""
    return (cloud.bin("python"), *SINGLE, cloud.bin(name), *arguments)


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
    also: tuple[str, str] = ("", ""),
) -> Service:
    """One of OpenStack's WSGI applications as a service on its port.

    :param also: another application of the same program for the same process, and its port's name.
    """
    port = cloud.config.ports[name]
    served = ["127.0.0.1", str(threads), application, str(port)]
    if also[0]:
        served += [also[0], str(cloud.config.ports[also[1]])]
    return Service(
        name=name,
        command=(cloud.bin("python"), "-P", "-m", "novadocker.programs.wsgi", *served),
        ready=Http(f"http://127.0.0.1:{port}{path}"),
        needs=needs,
        user=cloud.config.user,
        environment=environment,
        files=files,
        folders=folders,
        within=90,
    )
