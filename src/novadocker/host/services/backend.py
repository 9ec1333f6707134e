# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""What a way of making Neutron's ports work says of itself; there are two, and a cloud has one of them."""

from collections.abc import Callable
from dataclasses import dataclass

from novadocker.host.services.ini import Sections
from novadocker.host.services.model import Cloud


@dataclass(frozen=True, kw_only=True)
class Backend:
    """One network backend: how Neutron is told of it, and what waits for which of its services.

    :ivar settings: its sections of neutron.conf; those it shares with all are merged.
    :ivar api_needs: what the network API needs of it.
    :ivar switching: the service that makes plugged ports work.
    :ivar agents: the types of agents that Neutron must list as alive on the machine.
    :ivar agents_need: the services whose work shows in that list.
    :ivar networks_need: what must be there before the first network is made.
    """

    settings: Callable[[Cloud], Sections]
    api_needs: tuple[str, ...]
    switching: str
    agents: frozenset[str]
    agents_need: tuple[str, ...]
    networks_need: tuple[str, ...]
