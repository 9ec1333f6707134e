# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""What the APIs say of a cloud, ours or the one the environment names."""

from collections.abc import Callable
from typing import Any

from keystoneauth1.exceptions import ClientException
from openstack.connection import Connection
from openstack.exceptions import SDKException

from novadocker.host.evidence.model import NotSeen

_OVER = {"completed", "confirmed", "reverted", "error", "failed", "cancelled", "done"}


def computes(connection: Connection) -> list[dict[str, Any]]:
    """Nova's services, with why one is disabled."""
    return [
        {
            "host": each.host,
            "binary": each.binary,
            "state": each.state,
            "status": each.status,
            "reason": each.disabled_reason,
            "seen": each.updated_at,
        }
        for each in connection.compute.services()
    ]


def hypervisors(connection: Connection) -> list[dict[str, Any]]:
    """Nova's hypervisors; one that is missing here is in no cell."""
    return [
        {
            "name": each.name,
            "type": each.hypervisor_type,
            "state": each.state,
            "host": (each.service_details or {}).get("host", ""),
        }
        for each in connection.compute.hypervisors(details=True)
    ]


def agents(connection: Connection) -> list[dict[str, Any]]:
    """Neutron's agents and chassis, with what they say of their bridges."""
    return [
        {
            "type": each.agent_type,
            "host": each.host,
            "alive": each.is_alive,
            "configuration": {
                key: value
                for key, value in (each.configuration or {}).items()
                if key in ("integration_bridge", "bridge_mappings", "tunneling_ip", "datapath_type")
            },
        }
        for each in connection.network.agents()
    ]


def servers(connection: Connection) -> list[dict[str, Any]]:
    """Every project's servers."""
    return [
        {
            "id": each.id,
            "name": each.name,
            "status": each.status,
            "task": each.task_state,
            "host": each.compute_host,
            "updated": each.updated_at,
            "fault": (each.fault or {}).get("message", ""),
        }
        for each in connection.compute.servers(all_projects=True)
    ]


def ports(connection: Connection) -> list[dict[str, Any]]:
    """Servers' ports, with their bindings."""
    return [
        {
            "id": each.id,
            "server": each.device_id,
            "status": each.status,
            "host": each.binding_host_id,
            "vif": each.binding_vif_type,
            "vnic": each.binding_vnic_type,
            "network": each.network_id,
        }
        for each in connection.network.ports()
        if (each.device_owner or "").startswith("compute:")
    ]


def networks(connection: Connection) -> list[dict[str, Any]]:
    """Networks, with their MTU and what they are on."""
    return [
        {
            "id": each.id,
            "name": each.name,
            "mtu": each.mtu,
            "type": each.provider_network_type,
            "physical": each.provider_physical_network,
            "external": each.is_router_external,
        }
        for each in connection.network.networks()
    ]


def providers(connection: Connection) -> list[dict[str, Any]]:
    """Placement's providers: what they have, keep back and have given to whom."""
    found = []
    placement = connection.session
    endpoint = {"service_type": "placement", "interface": "public"}
    version = {"OpenStack-API-Version": "placement 1.36"}

    def ask(path: str) -> Any:
        return placement.get(path, endpoint_filter=endpoint, headers=version).json()

    for provider in ask("/resource_providers")["resource_providers"]:
        base = f"/resource_providers/{provider['uuid']}"
        inventories = ask(f"{base}/inventories")["inventories"]
        found.append(
            {
                "name": provider["name"],
                "inventory": {
                    kind: {"total": each["total"], "reserved": each["reserved"]}
                    for kind, each in inventories.items()
                },
                "consumers": sorted(ask(f"{base}/allocations")["allocations"]),
            }
        )
    return found


def migrations(connection: Connection) -> list[str]:
    """The ids of moves that are under way: each holds room of its own."""
    return [each.uuid for each in connection.compute.migrations() if each.status not in _OVER and each.uuid]


def images(connection: Connection) -> list[dict[str, Any]]:
    """Images of containers, with what is said of them that decides whether they can run."""
    return [
        {
            "id": each.id,
            "name": each.name,
            "status": each.status,
            "disk_format": each.disk_format,
            "size": each.size or 0,
            "command": bool(
                each.os_command_line or {"os_command_line", "docker_command"} & set(each.properties or {})
            ),
            "archive": None,
        }
        for each in connection.image.images()
        if each.container_format == "docker"
    ]


def asked(question: Callable[[Connection], Any], connection: Connection) -> Any:
    """Put a question.

    :raises NotSeen: with the API's words, if it is not answered.
    """
    try:
        return question(connection)
    except (SDKException, ClientException) as error:
        raise NotSeen(f"an API did not answer: {str(error)[:200]}") from error
