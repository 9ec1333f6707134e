# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""A server's ports while it lives: connected at its start, attached, detached, as Neutron changes them."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from oslo_log import log as logging

from novadocker.errors import NovaDockerError
from novadocker.virt.docker import files, names, resolving, vif
from novadocker.virt.docker.containers import Containers
from novadocker.virt.docker.interfaces import Interfaces
from novadocker.virt.docker.network import EventWait, Network, Vif
from novadocker.virt.docker.progress import Done, untold

LOG = logging.getLogger(__name__)


class Ports:
    """The ports of this host's servers: what is plugged outside, what is seen inside, who answers names.

    :param describe: writes the tags of a server's devices into its record.
    """

    def __init__(
        self,
        *,
        containers: Containers,
        network: Network,
        interfaces: Interfaces,
        describe: Callable[[Any, Any], None],
        instances_path: Path,
    ) -> None:
        self._containers = containers
        self._network = network
        self._interfaces = interfaces
        self.describe = describe
        self._instances_path = instances_path

    def connect(
        self,
        context: Any,
        instance: Any,
        vifs: Iterable[Vif],
        *,
        namespace: str,
        events: EventWait | None,
        done: Done = untold,
    ) -> None:
        """Give a server its ports before its process starts, and its interfaces what the ports say now."""
        vifs = list(vifs)
        self._write_names(context, instance, vifs)
        self._network.connect(
            context, instance, vifs, namespace=namespace, events=events, adjust=True, done=done
        )

    def plug(self, context: Any, instance: Any, vifs: Iterable[Vif]) -> None:
        """Plug ports where they are not; those in use are not disturbed. What Nova says may be old."""
        namespace = self._containers.namespace(instance.uuid)
        if namespace is None:
            self._network.plug(instance, vifs)
        else:
            self._network.connect(
                context, instance, list(vifs), namespace=namespace, events=None, adjust=False
            )

    def attach(self, context: Any, instance: Any, one: Vif) -> None:
        """Give a server one more port, at once if it has a namespace, else with its next start."""
        namespace = self._containers.namespace(instance.uuid)
        if namespace is None:
            self._network.plug(instance, [one])
            return
        vifs = [*(each for each in instance.get_network_info() if each["id"] != one["id"]), one]
        self._network.attach(context, instance, vifs, one["id"], namespace=namespace)
        self._write_names(context, instance, vifs)

    def detach(self, context: Any, instance: Any, one: Vif) -> None:
        """Take a port away from a server; the ports that stay take its part, as the first one's routes.

        They do before it goes: meanwhile, what was sent to the metadata service would leave by the default
        route, for whoever answers at that address outside.
        """
        left = [each for each in instance.get_network_info() if each["id"] != one["id"]]
        self.follow(context, instance, left)
        self._network.disconnect(instance, [one])
        self.follow(context, instance, left)

    def follow(self, context: Any, instance: Any, vifs: Iterable[Vif]) -> None:
        """Give a server's interfaces what Neutron says now; failing is only told: its next start does it."""
        vifs = list(vifs)
        try:
            namespace = self._containers.namespace(instance.uuid)
            if namespace is None:
                return
            self._network.adjust(context, instance, vifs, namespace=namespace)
            self._write_names(context, instance, vifs)
        except (NovaDockerError, OSError) as error:
            LOG.warning("The server's interfaces stay as they were: %s", error, instance=instance)

    def _write_names(self, context: Any, instance: Any, vifs: Iterable[Vif]) -> None:
        plans = vif.plan(vifs)
        known, name = self._interfaces.names(context, plans), hostname(instance)
        files.write_names(
            self._instances_path / str(instance.uuid),
            hostname=name,
            hosts=resolving.hosts(plans, hostname=name, domain=known.domain),
            resolv_conf=resolving.resolv_conf(known),
        )


def hostname(instance: Any) -> str:
    """Return the hostname of a server, as its kernel and resolver accept it."""
    return names.hostname(instance.hostname, fallback=f"server-{instance.uuid}")
