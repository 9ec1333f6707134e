# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""Why Neutron may have refused to bind a port: its own refusal only says that it did."""

from typing import Any

from novadocker.virt.docker.doors import NetworkService, SwitchDB
from novadocker.virt.docker.errors import ServiceError, SwitchUnreachable

_SWITCHING_AGENTS = ("OVN Controller", "Open vSwitch agent")


def explain(context: Any, *, switch: SwitchDB, service: NetworkService, host: str, ovn: bool) -> str:
    """Say why Neutron may have refused to bind a port to a host, by what can be seen here and there."""
    try:
        chassis = switch.chassis().hostname
    except SwitchUnreachable as error:
        return str(error)
    if ovn and chassis != host:
        return f"This machine's OVN chassis calls itself '{chassis}', ports are bound to '{host}'."
    try:
        agents = service.agents(context, host)
    except ServiceError as error:
        return str(error)
    # Not the metadata or Neutron agent, which outlives the controller beside it.
    networking = [a for a in agents if a.get("agent_type", "").startswith(_SWITCHING_AGENTS)]
    if not networking:
        return f"Neutron knows no OVN chassis or agent on '{host}'; is ovn-controller running?"
    dead = [a["agent_type"] for a in networking if not a.get("alive")]
    return f"{dead[0]} on '{host}' is down." if dead else f"Neutron's log says why ('{host}' is alive)."
