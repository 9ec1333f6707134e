# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""Neutron's server side: the API, and the workers it needs beside a WSGI server, by backend."""

from dataclasses import replace

from novadocker.host.services import backends, ml2_ovs, rabbitmq, shared
from novadocker.host.services.ini import Sections, ini
from novadocker.host.services.model import Cloud, ConfigFile, Folder, Running, Service

# Two of Neutron's programs in one process.
WORKERS = "novadocker.programs.neutron_workers"


def _settings(cloud: Cloud) -> Sections:
    own = backends.of(cloud).settings(cloud)
    return {
        "DEFAULT": {
            **shared.default_section(),
            "transport_url": shared.transport_url(cloud),
            "core_plugin": "ml2",
            "auth_strategy": "keystone",
            "api_paste_config": str(cloud.venv / "etc" / "neutron" / "api-paste.ini"),
            "state_path": str(cloud.layout.data / "neutron"),
            "global_physnet_mtu": cloud.machine.uplink_mtu,
            "notify_nova_on_port_status_changes": True,
            "notify_nova_on_port_data_changes": True,
            # Events to Nova wait for the next batch; one second is the least that can be said here. The API's
            # wait less (programs/events_to_nova.py).
            "send_events_interval": 1,
            "dns_domain": "novadocker.internal.",
            "host": cloud.hostname,
            **own.get("DEFAULT", {}),
        },
        "database": shared.database_section(cloud, "neutron"),
        **shared.token_sections(cloud, "neutron"),
        **shared.messaging_sections(cloud),
        "nova": shared.auth_section(cloud, "nova"),
        "placement": shared.auth_section(cloud, "placement"),
        "oslo_concurrency": {"lock_path": str(cloud.layout.run / "neutron")},
        "quotas": {
            "quota_port": 1000,
            "quota_security_group": 200,
            "quota_security_group_rule": 1000,
            "quota_floatingip": 100,
            "quota_network": 100,
            "quota_subnet": 100,
            "quota_router": 50,
        },
        "ml2": {
            **own["ml2"],
            "extension_drivers": "port_security,qos,dns_domain_ports",
            "overlay_ip_version": 4,
        },
        "ml2_type_flat": {"flat_networks": "public"},
        "securitygroup": {"enable_security_group": True},
        **{name: options for name, options in own.items() if name not in ("DEFAULT", "ml2")},
    }


def _server_files(cloud: Cloud) -> tuple[ConfigFile, ...]:
    return (ConfigFile(path=cloud.layout.etc / "neutron" / "neutron.conf", content=ini(_settings(cloud))),)


def _folders(cloud: Cloud) -> tuple[Folder, ...]:
    return (Folder(path=cloud.layout.data / "neutron"), Folder(path=cloud.layout.run / "neutron"))


def neutron_api(cloud: Cloud) -> Service:
    """The network API."""
    etc = cloud.layout.etc / "neutron"
    return shared.api(
        cloud,
        name="neutron",
        application="neutron.wsgi.api:application",
        environment={
            "OS_NEUTRON_CONFIG_DIR": str(etc),
            "OS_NEUTRON_CONFIG_FILES": "neutron.conf",
            # Without it `get_api_worker_count()` knows no number of workers outside uWSGI and mod_wsgi, and
            # the OVN hash ring refuses every event (neutron/common/wsgi_utils.py).
            "ASGI_WORKERS": "1",
            # Neutron keeps its start time in the temporary folder, by its parent's pid.
            "TMPDIR": str(cloud.layout.run / "neutron"),
        },
        # Not the broker, which takes longest to come: it is connected to by the first message.
        needs=("neutron-schema", *backends.of(cloud).api_needs),
        files=_server_files(cloud),
        folders=_folders(cloud),
    )


def _worker(cloud: Cloud, *, name: str, program: str) -> Service:
    return Service(
        name=name,
        needs=("neutron",),
        user=cloud.config.user,
        command=shared.program(
            cloud, program, "--config-file", str(cloud.layout.etc / "neutron" / "neutron.conf")
        ),
        environment={"TMPDIR": str(cloud.layout.run / "neutron")},
        files=_server_files(cloud),
        folders=_folders(cloud),
        ready=Running(),
    )


def periodic(cloud: Cloud) -> Service:
    """Neutron's timed work."""
    service = _worker(cloud, name="neutron-periodic", program="neutron-periodic-workers")
    # It takes from the routers' queue, too: before the server of the agents' questions does, that queue would
    # call a server ready which is not there yet.
    return replace(service, needs=(*service.needs, ml2_ovs.RPC))


def workers(cloud: Cloud) -> Service:
    """The same with OVN, where somebody repairs what differs between Neutron's database and OVN's, too."""
    service = _worker(cloud, name="neutron-workers", program="neutron-periodic-workers")
    return replace(service, command=(cloud.bin("python"), "-P", "-m", WORKERS, *service.command[-2:]))


def rpc_server(cloud: Cloud) -> Service:
    """Answers the questions of ML2/OVS's agents, and takes their reports."""
    service = _worker(cloud, name=ml2_ovs.RPC, program="neutron-rpc-server")
    return replace(
        service,
        # Beside the API, not after it: the agents wait for this one.
        needs=("neutron-schema", "identity", "rabbitmq"),
        # An agent that asks before it listens waits a minute in vain (`rpc_response_timeout`): no queue is
        # there to keep the question. The routers' queue is the last it takes from.
        ready=rabbitmq.consumed(cloud, "q-l3-plugin"),
        within=90,
    )
