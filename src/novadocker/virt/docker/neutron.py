# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""What the driver asks Neutron itself: a network's DHCP port, and who serves a host."""

import threading
import time
from collections.abc import Callable
from typing import Any

from keystoneauth1.exceptions import ClientException
from neutronclient.common.exceptions import NeutronClientException
from nova.exception import NovaException

from novadocker.virt.docker.doors import DhcpPort
from novadocker.virt.docker.errors import ServiceError

# A burst of servers on one network asks once; a changed port is seen by the next server.
_REMEMBER = 30.0


class Neutron:
    """Neutron, asked with Nova's own service credentials."""

    def __init__(self, client: Callable[[Any], Any]) -> None:
        self._client = client
        self._lock = threading.Lock()
        self._known: dict[str, tuple[float, DhcpPort]] = {}

    def dhcp(self, context: Any, network_id: str) -> DhcpPort:
        """Return where the metadata service answers on a network, and the domain of the names on it.

        With OVN that port's owner is network:distributed; Nova knows only network:dhcp
        (nova/network/neutron.py, _get_subnets_from_port).
        """
        now = time.monotonic()
        with self._lock:
            asked, found = self._known.get(network_id, (-_REMEMBER, DhcpPort()))
        if now - asked < _REMEMBER:
            return found
        ports = self._ask(
            "the network's DHCP ports",
            context,
            "list_ports",
            network_id=network_id,
            device_owner=["network:distributed", "network:dhcp"],
            fields=["fixed_ips", "dns_assignment"],
        )["ports"]
        names = [one["fqdn"] for port in ports for one in port.get("dns_assignment") or ()]
        found = DhcpPort(
            addresses=tuple(ip["ip_address"] for port in ports for ip in port["fixed_ips"]),
            domain=next((name.partition(".")[2].strip(".") for name in names), ""),
        )
        with self._lock:
            self._known = {k: v for k, v in self._known.items() if now - v[0] < _REMEMBER}
            self._known[network_id] = (now, found)
        return found

    def agents(self, context: Any, host: str) -> list[dict[str, Any]]:
        """Return the agents Neutron knows on a host."""
        return list(self._ask("its agents", context, "list_agents", host=host)["agents"])

    def _ask(self, what: str, context: Any, call: str, **query: Any) -> Any:
        try:
            return getattr(self._client(context), call)(**query)
        except (NeutronClientException, ClientException, NovaException) as error:
            raise ServiceError(f"Neutron does not tell {what}.", facts=str(error)) from error
