# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""What the driver asks Neutron itself: where the metadata service is, and who serves a host."""

import threading
import time
from collections.abc import Callable
from typing import Any

from keystoneauth1.exceptions import ClientException
from neutronclient.common.exceptions import NeutronClientException
from nova.exception import NovaException

from novadocker.virt.docker.errors import ServiceError

# A burst of servers on one network asks once; a changed port is seen by the next server.
_REMEMBER = 30.0


class Neutron:
    """Neutron, asked with Nova's own service credentials."""

    def __init__(self, client: Callable[[Any], Any]) -> None:
        self._client = client
        self._lock = threading.Lock()
        self._known: dict[str, tuple[float, tuple[str, ...]]] = {}

    def metadata_addresses(self, context: Any, network_id: str) -> tuple[str, ...]:
        """Return the addresses of the network's DHCP ports, where the metadata service answers.

        With OVN that port's owner is network:distributed; Nova knows only network:dhcp
        (nova/network/neutron.py, _get_subnets_from_port).
        """
        now = time.monotonic()
        with self._lock:
            asked, addresses = self._known.get(network_id, (-_REMEMBER, ()))
        if now - asked < _REMEMBER:
            return addresses
        ports = self._ask(
            "the network's DHCP ports",
            context,
            "list_ports",
            network_id=network_id,
            device_owner=["network:distributed", "network:dhcp"],
            fields=["fixed_ips"],
        )["ports"]
        addresses = tuple(ip["ip_address"] for port in ports for ip in port["fixed_ips"])
        with self._lock:
            self._known = {k: v for k, v in self._known.items() if now - v[0] < _REMEMBER}
            self._known[network_id] = (now, addresses)
        return addresses

    def agents(self, context: Any, host: str) -> list[dict[str, Any]]:
        """Return the agents Neutron knows on a host."""
        return list(self._ask("its agents", context, "list_agents", host=host)["agents"])

    def _ask(self, what: str, context: Any, call: str, **query: Any) -> Any:
        try:
            return getattr(self._client(context), call)(**query)
        except (NeutronClientException, ClientException, NovaException) as error:
            raise ServiceError(f"Neutron does not tell {what}.", facts=str(error)) from error
