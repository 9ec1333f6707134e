# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""ML2/OVS: what Neutron is told of it, and the machine's agents, one of each kind for both hypervisors."""

from dataclasses import replace

from novadocker.host.services import agents, shared
from novadocker.host.services.backend import Backend
from novadocker.host.services.ini import Sections, Value
from novadocker.host.services.model import Cloud, Service

RPC = "neutron-rpc-server"
SWITCHING, ROUTING = "neutron-openvswitch-agent", "neutron-l3-agent"
DHCP, METADATA = "neutron-dhcp-agent", "neutron-metadata-agent"


def _settings(cloud: Cloud) -> Sections:
    return {
        "DEFAULT": {
            "service_plugins": "router,qos,port_forwarding,segments,trunk",
            # One process for the agents' questions and their reports.
            "rpc_workers": 1,
            "rpc_state_report_workers": 0,
        },
        "ml2": {
            "mechanism_drivers": "openvswitch",
            "type_drivers": "vxlan,flat",
            "tenant_network_types": "vxlan",
        },
        "ml2_type_vxlan": {"vni_ranges": "1:65535"},
    }


def _switch(cloud: Cloud) -> dict[str, Value]:
    """What every agent that touches the switch must know of it."""
    return {
        "ovsdb_connection": f"unix:{cloud.layout.ovs_socket}",
        "integration_bridge": cloud.config.integration_bridge,
        # Under `netdev`, the agents' own interfaces do without checksums that nobody would complete.
        "datapath_type": cloud.datapath,
    }


def _agent(cloud: Cloud, *, name: str, needs: tuple[str, ...], settings: Sections) -> Service:
    return agents.agent(
        cloud,
        name=name,
        program=name,
        needs=("rabbitmq", RPC, *needs),
        settings={
            **shared.messaging_sections(cloud),
            **settings,
            "DEFAULT": {"transport_url": shared.transport_url(cloud), **settings.get("DEFAULT", {})},
            # The first report may come too early for Neutron: the next is not half a minute later.
            "agent": {"report_interval": 10, **settings.get("agent", {})},
        },
        # All of it is made anew after a reboot: processes' ids, and what was read from Neutron.
        state=cloud.layout.run / name,
    )


def switching(cloud: Cloud) -> Service:
    """The machine's one layer-2 agent: the flows of every port, a container's or a VM's, are its."""
    config = cloud.config
    return _agent(
        cloud,
        name=SWITCHING,
        needs=("chassis",),
        settings={
            "ovs": {
                **_switch(cloud),
                "tunnel_bridge": config.tunnel_bridge,
                "bridge_mappings": f"public:{config.external_bridge}",
                # There is no other end on one machine; who adds a second names an address it reaches.
                "local_ip": "127.0.0.1",
                "of_listen_address": "127.0.0.1",
                "of_listen_port": config.ports["openflow"],
            },
            "agent": {"tunnel_types": "vxlan", "extensions": "qos"},
            # Connection tracking is in both datapaths; the other driver wants a Linux bridge for every port.
            "securitygroup": {"enable_security_group": True, "firewall_driver": "openvswitch"},
        },
    )


def _interfaces(cloud: Cloud) -> dict[str, Value]:
    return {
        "interface_driver": "openvswitch",
        # The userspace switch holds its own interfaces by open files: those that lie in a namespace are
        # lost when it dies, and made anew in the wrong one. A pair of which one end is plugged stays.
        "ovs_use_veth": cloud.datapath == "netdev",
    }


def routing(cloud: Cloud) -> Service:
    """Routers, floating IPs, and metadata by way of the router."""
    service = _agent(
        cloud,
        name=ROUTING,
        needs=("chassis",),
        settings={
            "DEFAULT": {
                **_interfaces(cloud),
                "metadata_proxy_socket": str(agents.metadata_socket(cloud, METADATA)),
                "metadata_proxy_user": "root",
                "metadata_proxy_group": "root",
            },
            "agent": {"extensions": "port_forwarding,fip_qos,gateway_ip_qos"},
            "ovs": _switch(cloud),
        },
    )
    return agents.with_namespaces(cloud, service, outlives=("haproxy", "radvd"))


def dhcp(cloud: Cloud) -> Service:
    """DHCP, names, and metadata in every network."""
    service = _agent(
        cloud,
        name=DHCP,
        needs=("chassis",),
        settings={
            "DEFAULT": {
                **_interfaces(cloud),
                "dhcp_driver": "neutron.agent.linux.dhcp.Dnsmasq",
                "dns_domain": "novadocker.internal.",
                # In networks with a router, too: one way to 169.254.169.254 for all, as with OVN.
                "enable_isolated_metadata": True,
                "force_metadata": True,
                "metadata_proxy_socket": str(agents.metadata_socket(cloud, METADATA)),
                "metadata_proxy_user": "root",
                "metadata_proxy_group": "root",
            },
            "ovs": _switch(cloud),
        },
    )
    # dnsmasq reads its files again when ports come, as nobody.
    folders = tuple(replace(folder, mode=0o755) for folder in service.folders)
    return agents.with_namespaces(cloud, replace(service, folders=folders), outlives=("haproxy", "dnsmasq"))


def metadata(cloud: Cloud) -> Service:
    """Who hands servers' questions from the routers' and networks' namespaces to Nova."""
    return _agent(
        cloud,
        name=METADATA,
        needs=(),
        settings={"DEFAULT": agents.metadata_section(cloud, METADATA)},
    )


BACKEND = Backend(
    settings=_settings,
    api_needs=(),
    switching=SWITCHING,
    agents=frozenset({"Open vSwitch agent", "L3 agent", "DHCP agent", "Metadata agent"}),
    agents_need=(RPC, SWITCHING, ROUTING, DHCP, METADATA),
    # A router's or network's own ports are bound when they are made, and only to an agent that is alive.
    networks_need=("agents",),
)
