# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""What a server knows of names: its /etc/resolv.conf and /etc/hosts (pure)."""

from collections.abc import Iterable
from dataclasses import dataclass

from novadocker.virt.docker.vif import VifPlan


@dataclass(frozen=True, kw_only=True)
class Names:
    """Who answers a server's questions for names, and the domain its own name is in (empty: none)."""

    servers: tuple[str, ...] = ()
    domain: str = ""


def resolv_conf(names: Names) -> str:
    """Return the server's /etc/resolv.conf (resolvers read three name servers)."""
    lines = [f"search {names.domain}"] if names.domain else []
    lines += [f"nameserver {server}" for server in names.servers[:3]]
    return "".join(f"{line}\n" for line in lines)


def hosts(plans: Iterable[VifPlan], *, hostname: str, domain: str) -> str:
    """Return the server's /etc/hosts: its own name, whole and short, at each of its addresses."""
    lines = ["127.0.0.1\tlocalhost", "::1\tlocalhost ip6-localhost ip6-loopback"]
    own = f"{hostname}.{domain} {hostname}" if domain else hostname
    addresses = [address.partition("/")[0] for plan in plans for address in plan.addresses]
    lines += [f"{address}\t{own}" for address in addresses or ["127.0.1.1"]]
    return "".join(f"{line}\n" for line in lines)
