# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""The two nova-compute services: known to the cell, up, and their capacity counted once."""

from novadocker import poll
from novadocker.errors import NovaDockerError
from novadocker.host.bootstrap import databases, schemas, session
from novadocker.host.capacity import overbooked
from novadocker.host.services.model import Cloud


def wait_until_up(cloud: Cloud, *, seconds: float = 90) -> bool:
    """Wait until both services report, map those that are new, and check what they offer.

    :returns: whether a host was mapped.
    :raises NovaDockerError: if the two offer more than the machine has.
    """
    wanted = {cloud.hostname, cloud.docker_host}
    with session.administrator(cloud) as connection:

        def not_reporting() -> str | None:
            found = {
                service.host: service.state
                for service in connection.compute.services()
                if service.binary == "nova-compute"
            }
            late = {host for host in wanted if found.get(host) != "up"}
            return f"{', '.join(sorted(late))} not up" if late else None

        poll.until(
            not_reporting, why="Both nova-compute services up", seconds=seconds,
            hint=f"See {cloud.layout.logs}/nova-libvirt.log and nova-docker.log.",
        )  # fmt: skip
        mapped = wanted <= mapped_hosts(cloud)
        if not mapped:
            schemas.discover_hosts(cloud)

        def without_inventory() -> str | None:
            # A hypervisor's name is its driver's to choose; its service says which host it is on.
            names = {
                each.name: each.service_details["host"]
                for each in connection.compute.hypervisors(details=True)
            }
            late = wanted - {names[name] for name in inventories(connection) if name in names}
            return f"{', '.join(sorted(late))} not in Placement" if late else None

        poll.until(
            without_inventory, why="Both hypervisors' capacity in Placement", seconds=seconds,
            hint=f"See {cloud.layout.logs}/nova-libvirt.log and nova-docker.log.",
        )  # fmt: skip
        offers = offered(inventories(connection))
        too_much = overbooked(offers, cloud.machine.resources)
        if too_much:
            raise NovaDockerError(
                "The two hypervisors offer more than this machine has.", facts="; ".join(too_much),
                hint="Compare reserved_host_* in the two overlay files with the machine.",
            )  # fmt: skip
    return not mapped


def mapped_hosts(cloud: Cloud) -> set[str]:
    """Hosts that Nova's API database maps to a cell; others take no server."""
    with databases.root_session(cloud) as cursor:
        cursor.execute("SELECT host FROM nova_api.host_mappings")
        return {row[0] for row in cursor.fetchall()}


def inventories(connection: object) -> dict[str, dict[str, dict[str, int]]]:
    """Placement's providers by name, each with its inventories by resource class; empty ones are left out."""
    found = {}
    for provider in connection.placement.resource_providers():  # type: ignore[attr-defined]
        body = connection.placement.get(f"/resource_providers/{provider.id}/inventories").json()  # type: ignore[attr-defined]
        if body.get("inventories"):
            found[provider.name] = body["inventories"]
    return found


def offered(by_provider: dict[str, dict[str, dict[str, int]]]) -> dict[str, list[int]]:
    """Total minus reserved of every provider, by resource class, before overcommit."""
    return {
        name: [
            stock[name]["total"] - stock[name]["reserved"] for stock in by_provider.values() if name in stock
        ]
        for name in ("VCPU", "MEMORY_MB", "DISK_GB")
    }
