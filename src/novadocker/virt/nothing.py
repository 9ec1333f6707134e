# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""A hypervisor that does nothing, for `nova-docker bench`: what is left of a boot is Nova and Neutron.

Ports are allocated and bound as for a container, and no event is awaited. What it offers is of resource
classes of its own, as many as a hypervisor's: no server but the instrument's can be placed here.
"""

from typing import Any

import nova.conf
from nova.virt import driver, fake

from novadocker.virt.docker import conf

CONF = nova.conf.CONF
conf.register(CONF)

RESOURCES = {
    "CUSTOM_NOVA_DOCKER_BENCH_VCPU": 1000,
    "CUSTOM_NOVA_DOCKER_BENCH_MEMORY_MB": 1000 * 1024,
    "CUSTOM_NOVA_DOCKER_BENCH_DISK_GB": 1000,
}


class NothingDriver(fake.FakeDriver):  # type: ignore[misc]
    """Nova's own driver that does nothing, on this machine's chassis."""

    def network_binding_host_id(self, context: Any, instance: Any) -> str:
        """Return the name of this machine's chassis or agent, to which ports are bound."""
        return str(CONF.docker.binding_host or CONF.host)

    def manages_network_binding_host_id(self) -> bool:
        """Tell Nova not to bind ports to its own host name again."""
        return self.network_binding_host_id(None, None) != str(CONF.host)

    def get_available_resource(self, nodename: str) -> dict[str, Any]:
        """Return what a host of containers reports, so that its images are let pass."""
        found: dict[str, Any] = super().get_available_resource(nodename)
        found.pop("uuid", None)
        return {**found, "hypervisor_type": "docker", "supported_instances": [("x86_64", "docker", "exe")]}

    def get_nodenames_by_uuid(self, refresh: bool = False) -> dict[str, str]:
        """Return the node under the id that Nova keeps on disk, as of any real hypervisor."""
        found: dict[str, str] = driver.ComputeDriver.get_nodenames_by_uuid(self, refresh)
        return found

    def update_provider_tree(self, provider_tree: Any, nodename: str, allocations: Any = None) -> None:
        """Offer what nobody else asks for."""
        offered = {
            name: {"total": total, "min_unit": 1, "max_unit": total, "step_size": 1,
                   "allocation_ratio": 1.0, "reserved": 0}
            for name, total in RESOURCES.items()
        }  # fmt: skip
        provider_tree.update_inventory(nodename, offered)
