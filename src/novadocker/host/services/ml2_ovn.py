# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""ML2/OVN: what Neutron is told of it, and the one agent that the chassis has beside its controller."""

from novadocker.host.services import agents
from novadocker.host.services.backend import Backend
from novadocker.host.services.ini import Sections
from novadocker.host.services.model import Cloud, Command, Service

# Headers Geneve adds to a tenant's frame over IPv4, as ML2/OVN counts them.
_GENEVE_HEADER = 38
_AGENT = "neutron-agent"


def _databases(cloud: Cloud) -> dict[str, str | int]:
    return {
        "ovn_nb_connection": f"unix:{cloud.layout.ovn_nb_socket}",
        "ovn_sb_connection": f"unix:{cloud.layout.ovn_sb_socket}",
        "ovsdb_probe_interval": 60000,
    }


def _settings(cloud: Cloud) -> Sections:
    return {
        "DEFAULT": {"service_plugins": "ovn-router,qos,port_forwarding,segments,trunk", "rpc_workers": 0},
        "ml2": {
            "mechanism_drivers": "ovn",
            "type_drivers": "geneve,flat",
            "tenant_network_types": "geneve",
        },
        "ml2_type_geneve": {"vni_ranges": "1:65535", "max_header_size": _GENEVE_HEADER},
        "ovn": {
            **_databases(cloud),
            "ovn_metadata_enabled": True,
            "enable_distributed_floating_ip": False,
            "neutron_sync_mode": "log",
        },
        "ovs": {"ovsdb_connection": f"unix:{cloud.layout.ovs_socket}"},
    }


def agent(cloud: Cloud) -> Service:
    """The OVN agent with its metadata extension: 169.254.169.254 for containers and VMs alike."""
    service = agents.agent(
        cloud,
        name=_AGENT,
        program="neutron-ovn-agent",
        needs=("ovn-controller",),
        settings={
            "DEFAULT": agents.metadata_section(cloud, _AGENT),
            "agent": {"extensions": "metadata"},
            "ovn": _databases(cloud),
            "ovs": {"ovsdb_connection": f"unix:{cloud.layout.ovs_socket}"},
        },
        state=cloud.layout.data / _AGENT,
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
    return agents.with_namespaces(cloud, service, outlives=("haproxy",))


BACKEND = Backend(
    settings=_settings,
    # After the agent: of one that registers while it starts, the API misses the bridge's name, and binds
    # ports to `br-int` (neutron/common/ovn/utils.py, get_ovn_bridge_from_chassis_private).
    api_needs=("ovn-nb", "ovn-sb", _AGENT),
    switching="ovn-controller",
    agents=frozenset({"OVN Controller Gateway agent", "OVN Neutron agent"}),
    agents_need=(_AGENT, "ovn-controller", "ovn-northd"),
    networks_need=("ovn-northd",),
)
