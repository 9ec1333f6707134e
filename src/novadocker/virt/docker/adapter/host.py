# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""The host, as Nova asks about it."""

from pathlib import Path
from typing import Any

import nova.conf
from nova import context as nova_context
from nova.virt import hardware
from oslo_log import log as logging

from novadocker.errors import NovaDockerError
from novadocker.virt.docker import (
    binding,
    changes,
    device,
    facts,
    faults,
    processors,
    resources,
    topology,
)
from novadocker.virt.docker.adapter.base import Base
from novadocker.virt.docker.errors import SwitchUnreachable
from novadocker.virt.docker.terminals import MARK

CONF = nova.conf.CONF
LOG = logging.getLogger(__name__)


class HostCalls(Base):
    """The host, as Nova asks about it."""

    def init_host(self, host: str) -> None:
        """Look at the daemon and the switch, and begin to follow events; raises when there is no daemon."""
        with faults.translated(faults.failed):
            found = self._known_facts = self._engine.facts()
            network_api = getattr(getattr(self.virtapi, "_compute", None), "network_api", None)
            if network_api is not None:
                binding.redirect(
                    network_api, nova_host=self._settings.host, binding_host=self._settings.binding_host
                )
                changes.listen(network_api, changed=self._ports_changed)
            LOG.info(
                "Docker %(version)s (API %(api)s), storage %(storage)s, cgroups %(driver)s v%(cgroup)s",
                {"version": found.version, "api": found.api_version, "storage": found.storage_driver,
                 "driver": found.cgroup_driver, "cgroup": found.cgroup_version},
            )  # fmt: skip
            self._disk_limit = facts.disk_limit_supported(found, Path("/proc/self/mountinfo").read_text())
            self._processors = self._divided()
            self._rate_device = str(device.link(self._settings.instances_path, found.root_dir) or "")
            for words in facts.shortcomings(found, disk_limit=self._disk_limit):
                LOG.warning(words)
            if not self._containers.keeps_namespaces:
                if self._settings.namespaces is not None:
                    LOG.warning(
                        "dockerd's runtime does not look into %s: each server has a second container",
                        self._settings.namespaces,
                    )
                self._images.sandbox()
            self._containers.prepare()
            self._containers.remove_orphans()
            self._containers.keep_namespaces()
            self._disks.sweep()
            servers = self.list_instance_uuids()
        try:
            self._network.sweep(servers)
        except SwitchUnreachable as error:
            LOG.warning("Starting without Open vSwitch: %s", error)
        self._watcher.start()
        self._beginning = True
        if self._settings.console_address:
            self._open_consoles()

    def cleanup_host(self, host: str) -> None:
        """Stop following events and hang up consoles; the servers go on."""
        self._terminals.stop()
        self._watcher.stop()
        self._switch.close()

    def get_available_nodes(self, refresh: bool = False) -> list[str]:
        """Return this host's one node, named as the service is: another than libvirt's beside it."""
        return [self._settings.host]

    def get_available_resource(self, nodename: str) -> dict[str, Any]:
        """Return what the resource tracker keeps of this host."""
        with faults.translated(faults.failed):
            found = self._known_facts = self._engine.facts()
            if self._beginning:
                # Nova asks for the first time after it has gone through its servers, and resumed those that
                # ran before the host went down (nova/compute/manager.py, pre_start_hook).
                self._beginning = False
                self._watcher.look_again(self._servers.placed())
        return {
            **resources.available(found, hostname=nodename, architecture=found.architecture),
            "vcpus": len(self._processors.shared | self._processors.dedicated) or found.cpus,
            "numa_topology": topology.of_host(processors.nodes(), self._processors),
        }

    def update_provider_tree(self, provider_tree: Any, nodename: str, allocations: Any = None) -> None:
        """Write this host's inventory and trait into Placement's tree; what others put there stays."""
        with faults.translated(faults.failed):
            found = self._facts()
        present = provider_tree.data(nodename)
        reserved = {
            "PCPU": 0,
            "VCPU": CONF.reserved_host_cpus,
            "MEMORY_MB": CONF.reserved_host_memory_mb,
            "DISK_GB": self._get_reserved_host_disk_gb_from_config(),
        }
        ratios = self._get_allocation_ratios(present.inventory)
        provider_tree.update_inventory(
            nodename,
            resources.inventory(
                found, self._processors, ratios=ratios, reserved=reserved, present=present.inventory
            ),
        )
        traits = resources.traits(set(present.traits), flags=resources.processor_flags())
        provider_tree.update_traits(nodename, traits)

    def get_host_ip_addr(self) -> str:
        """Return the address other hosts move servers from."""
        return str(CONF.my_ip)

    def get_host_uptime(self) -> str:
        """Return the host's uptime in words."""
        return resources.uptime()

    def network_binding_host_id(self, context: Any, instance: Any) -> str:
        """Return the name of this machine's chassis or agent, to which ports are bound."""
        return self._settings.binding_host

    def manages_network_binding_host_id(self) -> bool:
        """Tell Nova not to bind ports to its own host name again, when that is another one."""
        return self._settings.binding_host != self._settings.host

    def _divided(self) -> processors.Processors:
        ours = processors.divide(
            online=processors.online(),
            dedicated=hardware.get_cpu_dedicated_set(),
            shared=hardware.get_cpu_shared_set(),
            reserved=CONF.reserved_host_cpus,
        )
        if ours.dedicated:
            context, settings = nova_context.get_admin_context(), self._settings
            for name, used in topology.neighbours(context, host=settings.binding_host, ours=settings.host):
                processors.check_apart(ours, neighbour=name, theirs=used)
        return ours

    def _open_consoles(self) -> None:
        """Begin to listen for consoles; servers are worth running where that fails."""
        with faults.translated(faults.failed):
            for one in self._containers.workloads():
                if one.status == "running" and self._engine.end_shells(one.id, mark=MARK):
                    LOG.info("Ended the consoles that %s still had of a killed nova-compute", one.name)
        try:
            self._terminals.start()
        except NovaDockerError as error:
            LOG.warning("Servers have no interactive consoles: %s", error)

    def _ports_changed(self, context: Any, instance: Any, network_info: Any) -> None:
        """Follow what Neutron says of a server's ports, unless somebody works on it, who does that too."""
        if instance.host == self._settings.host and instance.task_state is None:
            self._ports.follow(context, instance, network_info)
