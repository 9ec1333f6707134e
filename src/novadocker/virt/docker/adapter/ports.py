# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""Ports, as Nova asks for them to come and go."""

from typing import Any

from nova import context as nova_context
from nova import exception

from novadocker.virt.docker import (
    faults,
    tags,
)
from novadocker.virt.docker.adapter.base import Base


class PortCalls(Base):
    """Ports, as Nova asks for them to come and go."""

    def plug_vifs(self, instance: Any, network_info: Any) -> None:
        """Plug a server's ports where they are not; those in use are not disturbed."""
        with faults.translated(faults.plug_failed):
            self._ports.plug(nova_context.get_admin_context(), instance, network_info or ())

    def unplug_vifs(self, instance: Any, network_info: Any) -> None:
        """Unplug a server's ports."""
        with faults.translated(exception.VirtualInterfaceUnplugException):
            self._network.disconnect(instance, network_info or ())

    def attach_interface(self, context: Any, instance: Any, image_meta: Any, vif: Any) -> None:
        """Give a server one more port, at once if it has a network namespace, else with its next start."""
        with faults.translated(faults.failed):
            self._ports.attach(context, instance, vif)
            self._ports.describe(context, instance)

    def detach_interface(self, context: Any, instance: Any, vif: Any) -> None:
        """Take a port away from a server; one that is gone already is fine."""
        with faults.translated(faults.failed):
            self._ports.detach(context, instance, vif)
            tags.forget(context, instance, vif["address"])

    def inject_network_info(self, instance: Any, nw_info: Any) -> None:
        """Follow a fixed IP added to or removed from a server through Nova."""
        self._ports.follow(nova_context.get_admin_context(), instance, nw_info)
