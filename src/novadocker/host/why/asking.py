# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""What the APIs say of one server, living or deleted."""

import re
from typing import Any

from openstack.connection import Connection

from novadocker.errors import NovaDockerError

UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_SERVERS = "2.96"
_EVENTS = "2.84"


def find(connection: Connection, asked: str) -> dict[str, Any]:
    """The server of this id or name, of any project; among deleted ones if none lives.

    :raises NovaDockerError: if there is none, or several have the name.
    """
    queries = [{"name": f"^{re.escape(asked)}$"}]
    if UUID.fullmatch(asked):
        queries.insert(0, {"uuid": asked})
    for deleted in (False, True):
        found = [
            each
            for query in queries
            for each in _servers(connection, **query, **({"deleted": "true"} if deleted else {}))
            if asked in (each["id"], each["name"])
        ]
        unique = list({each["id"]: each for each in found}.values())
        if len(unique) > 1:
            raise NovaDockerError(
                f"{len(unique)} {'deleted ' if deleted else ''}servers are called {asked}.",
                facts="\n".join(f"{each['id']}  {each['status']}, of {each['created']}" for each in unique),
                hint="Give the id of the one you mean.",
            )
        if unique:
            return record(unique[0])
    raise NovaDockerError(
        f"There is no server {asked}, and none was deleted whose record is still there.",
        hint="openstack server list --all-projects   # `nova-docker logs ID` shows what was written about it",
    )


def _servers(connection: Connection, **query: str) -> list[dict[str, Any]]:
    answer = connection.compute.get(
        "/servers/detail", params={"all_tenants": "1", **query}, microversion=_SERVERS
    )
    return list(answer.json()["servers"]) if answer.status_code == 200 else []


def record(server: dict[str, Any]) -> dict[str, Any]:
    """What matters of Nova's record."""
    flavor = server.get("flavor") or {}
    return {
        "id": server["id"],
        "name": server["name"],
        "status": server["status"],
        "state": server.get("OS-EXT-STS:vm_state"),
        "task": server.get("OS-EXT-STS:task_state"),
        "host": server.get("OS-EXT-SRV-ATTR:host"),
        "instance": server.get("OS-EXT-SRV-ATTR:instance_name"),
        "created": server["created"],
        "updated": server["updated"],
        "launched": server.get("OS-SRV-USG:launched_at"),
        "ended": server.get("OS-SRV-USG:terminated_at"),
        "fault": server.get("fault"),
        "image": (server.get("image") or {}).get("id") if server.get("image") else None,
        "flavor": {
            "name": flavor.get("original_name"),
            "vcpus": flavor.get("vcpus"),
            "ram": flavor.get("ram"),
            "disk": flavor.get("disk"),
        },
    }


def actions(connection: Connection, server: str) -> list[dict[str, Any]]:
    """What was asked of it, the first first, each with its events."""
    path = f"/servers/{server}/os-instance-actions"
    found = []
    for each in connection.compute.get(path, microversion=_EVENTS).json().get("instanceActions", []):
        detail = connection.compute.get(f"{path}/{each['request_id']}", microversion=_EVENTS).json()
        events = (detail.get("instanceAction") or {}).get("events") or []
        found.append(
            {
                "action": each["action"],
                "request": each["request_id"],
                "start": each["start_time"],
                "message": each["message"],
                "events": [
                    {key: event.get(key) for key in
                     ("event", "start_time", "finish_time", "result", "host", "details")}
                    for event in events
                ],
            }
        )  # fmt: skip
    return list(reversed(found))


def ports(connection: Connection, server: str) -> list[dict[str, Any]]:
    """Its ports, with their bindings."""
    return [
        {
            "id": each.id,
            "status": each.status,
            "host": each.binding_host_id,
            "vif": each.binding_vif_type,
            "addresses": [ip["ip_address"] for ip in each.fixed_ips],
        }
        for each in connection.network.ports(device_id=server)
    ]


def image(connection: Connection, image_id: str) -> dict[str, Any]:
    """Its image; only its id where it is gone."""
    found = connection.image.find_image(image_id, ignore_missing=True)
    if found is None:
        return {"id": image_id, "gone": True}
    return {
        "id": found.id,
        "name": found.name,
        "container_format": found.container_format,
        "size": found.size,
        "status": found.status,
        "kernel": found.kernel_id or (found.properties or {}).get("kernel_id"),
    }


def flavors(connection: Connection) -> list[dict[str, Any]]:
    """All flavors, the smallest first."""
    return sorted(
        (
            {"name": each.name, "vcpus": each.vcpus, "ram": each.ram, "disk": each.disk}
            for each in connection.compute.flavors(details=True)
        ),
        key=lambda each: (each["ram"], each["disk"], each["vcpus"]),
    )


def providers(connection: Connection) -> list[dict[str, Any]]:
    """Placement's providers: what each can give to one server, and what is given already."""
    endpoint = {"service_type": "placement", "interface": "public"}
    version = {"OpenStack-API-Version": "placement 1.36"}

    def ask(path: str) -> Any:
        return connection.session.get(path, endpoint_filter=endpoint, headers=version).json()

    found = []
    for provider in ask("/resource_providers")["resource_providers"]:
        base = f"/resource_providers/{provider['uuid']}"
        used = ask(f"{base}/usages")["usages"]
        found.append(
            {
                "name": provider["name"],
                "offers": {
                    kind: {
                        "capacity": int((each["total"] - each["reserved"]) * each["allocation_ratio"]),
                        "most": each["max_unit"],
                        "used": used.get(kind, 0),
                    }
                    for kind, each in ask(f"{base}/inventories")["inventories"].items()
                },
                "consumers": sorted(ask(f"{base}/allocations")["allocations"]),
            }
        )
    return found
