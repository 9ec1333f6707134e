# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""Neutron with ML2/OVN: API, the two workers it needs beside a WSGI server, and the machine's one agent."""

from novadocker.host.services import shared
from novadocker.host.services.ini import Sections, ini
from novadocker.host.services.model import Cloud, Command, ConfigFile, Folder, Running, Service

PRIVSEP_SECTIONS = (
    "privsep",
    "privsep_dhcp_release",
    "privsep_ovs_vsctl",
    "privsep_namespace",
    "privsep_conntrack",
    "privsep_link",
)
# Headers Geneve adds to a tenant's frame over IPv4, as ML2/OVN counts them.
GENEVE_HEADER = 38


def _settings(cloud: Cloud) -> Sections:
    return {
        "DEFAULT": {
            **shared.default_section(),
            "transport_url": shared.transport_url(cloud),
            "core_plugin": "ml2",
            "service_plugins": "ovn-router,qos,port_forwarding,segments,trunk",
            "auth_strategy": "keystone",
            "api_paste_config": str(cloud.venv / "etc" / "neutron" / "api-paste.ini"),
            "state_path": str(cloud.layout.data / "neutron"),
            "global_physnet_mtu": cloud.machine.uplink_mtu,
            "notify_nova_on_port_status_changes": True,
            "notify_nova_on_port_data_changes": True,
            # Events to Nova wait for the next batch; one second is the least Neutron takes.
            "send_events_interval": 1,
            "dns_domain": "novadocker.internal.",
            "host": cloud.hostname,
            "rpc_workers": 0,
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
            "mechanism_drivers": "ovn",
            "type_drivers": "geneve,flat",
            "tenant_network_types": "geneve",
            "extension_drivers": "port_security,qos,dns_domain_ports",
            "overlay_ip_version": 4,
        },
        "ml2_type_geneve": {"vni_ranges": "1:65535", "max_header_size": GENEVE_HEADER},
        "ml2_type_flat": {"flat_networks": "public"},
        "securitygroup": {"enable_security_group": True},
        "ovn": {
            "ovn_nb_connection": f"unix:{cloud.layout.ovn_nb_socket}",
            "ovn_sb_connection": f"unix:{cloud.layout.ovn_sb_socket}",
            "ovn_metadata_enabled": True,
            "enable_distributed_floating_ip": False,
            "ovsdb_probe_interval": 60000,
            "neutron_sync_mode": "log",
        },
        "ovs": {"ovsdb_connection": f"unix:{cloud.layout.ovs_socket}"},
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
        # After the agent: of one that registers while it starts, the API misses the bridge's name, and binds
        # ports to `br-int` (neutron/common/ovn/utils.py, get_ovn_bridge_from_chassis_private).
        needs=("neutron-schema", "identity", "ovn-nb", "ovn-sb", "rabbitmq", "neutron-agent"),
        files=_server_files(cloud),
        folders=_folders(cloud),
    )


def _worker(cloud: Cloud, *, name: str, program: str) -> Service:
    return Service(
        name=name,
        needs=("neutron",),
        user=cloud.config.user,
        command=(cloud.bin(program), "--config-file", str(cloud.layout.etc / "neutron" / "neutron.conf")),
        environment={"TMPDIR": str(cloud.layout.run / "neutron")},
        files=_server_files(cloud),
        folders=_folders(cloud),
        ready=Running(),
    )


def maintenance(cloud: Cloud) -> Service:
    """Repairs what differs between Neutron's database and OVN's."""
    return _worker(cloud, name="neutron-maintenance", program="neutron-ovn-maintenance-worker")


def periodic(cloud: Cloud) -> Service:
    """Neutron's timed work."""
    return _worker(cloud, name="neutron-periodic", program="neutron-periodic-workers")


def agent(cloud: Cloud) -> Service:
    """The OVN agent with its metadata extension: 169.254.169.254 for containers and VMs alike.

    Its namespaces are made in a folder of the cloud's, which it sees as /run/netns: they are ours to
    remove, and nobody else's `ip netns` lists them.
    """
    etc = cloud.layout.etc / "neutron-agent"
    helper = f"{cloud.bin('privsep-helper')} --config-file {etc / 'agent.conf'}"
    namespaces = cloud.layout.run / "netns"
    return Service(
        name="neutron-agent",
        needs=("ovn-controller", "namespaces"),
        command=(cloud.bin("neutron-ovn-agent"), "--config-file", str(etc / "agent.conf")),
        environment={"PATH": f"{cloud.venv / 'bin'}:/usr/sbin:/usr/bin:/sbin:/bin"},
        # `namespaces` is a shared mount of the host's: what the agent mounts there is seen there too and
        # outlives the agent, while its own view of /run stays its own.
        mounts="unchanged",
        prepare=(
            "mkdir -p /run/netns",
            'mount --make-slave "$(findmnt -n -o TARGET -T /run/netns | tail -n 1)"',
            f"mount --rbind {namespaces} /run/netns",
        ),
        outlives=("haproxy",),
        files=(
            ConfigFile(
                path=etc / "agent.conf",
                content=ini(
                    {
                        "DEFAULT": {
                            **shared.default_section(),
                            "state_path": str(cloud.layout.data / "neutron-agent"),
                            "host": cloud.hostname,
                            "nova_metadata_host": "127.0.0.1",
                            "nova_metadata_port": cloud.config.ports["nova-metadata"],
                            "metadata_proxy_shared_secret": cloud.secrets["metadata-proxy"],
                            "metadata_proxy_socket": str(
                                cloud.layout.run / "neutron-agent" / "metadata.sock"
                            ),
                            "metadata_workers": 0,
                            "metadata_proxy_user": "root",
                            "metadata_proxy_group": "root",
                        },
                        "agent": {"extensions": "metadata", "root_helper": "env", "root_helper_daemon": ""},
                        "ovn": {
                            "ovn_nb_connection": f"unix:{cloud.layout.ovn_nb_socket}",
                            "ovn_sb_connection": f"unix:{cloud.layout.ovn_sb_socket}",
                            "ovsdb_probe_interval": 60000,
                        },
                        "ovs": {"ovsdb_connection": f"unix:{cloud.layout.ovs_socket}"},
                        "oslo_concurrency": {"lock_path": str(cloud.layout.run / "neutron-agent")},
                        **{section: {"helper_command": helper} for section in PRIVSEP_SECTIONS},
                    }
                ),
            ),
        ),
        folders=(
            Folder(path=cloud.layout.data / "neutron-agent"),
            Folder(path=cloud.layout.run / "neutron-agent"),
        ),
        # Registered: it has told the southbound database which bridge ports are plugged into.
        ready=Command(
            (
                "ovn-sbctl",
                "--timeout=5",
                f"--db=unix:{cloud.layout.ovn_sb_socket}",
                "get",
                "Chassis_Private",
                cloud.hostname,
                'external_ids:"neutron:ovn-bridge"',
            ),
            says=cloud.config.integration_bridge,
        ),
    )
