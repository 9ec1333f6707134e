# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""Addresses for tests to choose: Neutron draws those of its ports at random, and may have drawn any."""

import ipaddress

from tests.e2e.cloud import Cloud


def unused(cloud: Cloud, network_id: str, count: int = 1) -> list[str]:
    """IPv4 addresses of a network's pools that no port has, the last first."""
    network = cloud.connection.network
    taken = {ip["ip_address"] for port in network.ports(network_id=network_id) for ip in port.fixed_ips}
    pools = [
        (int(ipaddress.IPv4Address(pool["start"])), int(ipaddress.IPv4Address(pool["end"])))
        for subnet in network.subnets(network_id=network_id, ip_version=4)
        for pool in subnet.allocation_pools
    ]
    every = (str(ipaddress.IPv4Address(n)) for start, end in pools for n in range(end, start - 1, -1))
    found = [address for address in every if address not in taken][:count]
    assert len(found) == count, f"{network_id} is full"
    return found
