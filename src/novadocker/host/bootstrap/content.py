# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""What is ready to use when `up` is done: networks, a router, rules, flavors, a keypair."""

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519
from openstack.connection import Connection

from novadocker import files
from novadocker.host.bootstrap import session
from novadocker.host.services.model import Cloud

EXTERNAL, PRIVATE, ROUTER, KEYPAIR = "public", "private", "router", "nova-docker"


@dataclass(frozen=True)
class Flavor:
    """A size of server: vCPUs, MiB of memory, GiB of root disk; what its containers may do beyond others."""

    name: str
    vcpus: int
    ram: int
    disk: int
    extra_specs: Mapping[str, str] = field(default_factory=dict)


FLAVORS = (
    Flavor("m1.tiny", 1, 128, 1),
    Flavor("m1.small", 1, 512, 2),
    Flavor("m1.medium", 2, 1024, 5),
    Flavor("m1.large", 2, 2048, 10),
    # For system containers: sudo is setuid, and who is root in there by it may reboot.
    Flavor("system", 1, 512, 5, {"docker:no_new_privileges": "false", "docker:capabilities": "SYS_BOOT"}),
)
# Opened in the demo project's default group, as a first server wants it: ping, ssh, a page.
OPENED = (("icmp", None), ("tcp", 22), ("tcp", 80))


def key_file(cloud: Cloud) -> Path:
    """The private half of the keypair, for `ssh -i`."""
    return cloud.layout.data / "keys" / KEYPAIR


def fill(cloud: Cloud) -> bool:
    """Make what is missing; say whether anything was."""
    with session.administrator(cloud, project=session.PROJECT) as connection:
        changed = _networks(cloud, connection)
        changed = _rules(connection) or changed
        changed = _flavors(connection) or changed
        return _keypairs(cloud, connection) or changed


def _networks(cloud: Cloud, connection: Connection) -> bool:
    config = cloud.config
    networks = {network.name: network for network in connection.network.networks()}
    subnets = {subnet.name: subnet for subnet in connection.network.subnets()}
    changed = False
    if EXTERNAL not in networks:
        # Owned by the service project: an external network of the caller's own project would be a candidate
        # for a server created without a network (nova/network/neutron.py, _get_available_networks).
        service = connection.identity.find_project("service", ignore_missing=False)
        networks[EXTERNAL] = connection.network.create_network(
            name=EXTERNAL,
            project_id=service.id,
            is_router_external=True,
            is_shared=False,
            provider_network_type="flat",
            provider_physical_network="public",
        )
        changed = True
    if f"{EXTERNAL}-subnet" not in subnets:
        network = ipaddress.ip_network(config.external_cidr)
        connection.network.create_subnet(
            name=f"{EXTERNAL}-subnet",
            network_id=networks[EXTERNAL].id,
            project_id=networks[EXTERNAL].project_id,
            ip_version=4,
            cidr=config.external_cidr,
            gateway_ip=config.external_gateway,
            is_dhcp_enabled=False,
            allocation_pools=[{"start": str(network[10]), "end": str(network[-2])}],
        )
        changed = True
    if PRIVATE not in networks:
        networks[PRIVATE] = connection.network.create_network(name=PRIVATE)
        changed = True
    if f"{PRIVATE}-subnet" not in subnets:
        subnets[f"{PRIVATE}-subnet"] = connection.network.create_subnet(
            name=f"{PRIVATE}-subnet",
            network_id=networks[PRIVATE].id,
            ip_version=4,
            cidr=config.private_cidr,
            dns_nameservers=_resolvers(),
        )
        changed = True
    routers = {router.name: router for router in connection.network.routers()}
    if ROUTER not in routers:
        routers[ROUTER] = connection.network.create_router(
            name=ROUTER, external_gateway_info={"network_id": networks[EXTERNAL].id}
        )
        changed = True
    subnet = subnets[f"{PRIVATE}-subnet"]
    inside = connection.network.ports(device_id=routers[ROUTER].id, network_id=networks[PRIVATE].id)
    if not any(address["subnet_id"] == subnet.id for port in inside for address in port.fixed_ips):
        connection.network.add_interface_to_router(routers[ROUTER], subnet_id=subnet.id)
        changed = True
    return changed


def _resolvers() -> list[str]:
    # A resolver on the host's loopback cannot be reached from a server; without another one Neutron names
    # none.
    lines = Path("/etc/resolv.conf").read_text().splitlines() if Path("/etc/resolv.conf").exists() else []
    found = [line.split()[1] for line in lines if line.startswith("nameserver ") and len(line.split()) > 1]
    return [name for name in found if _is_reachable_v4(name)]


def _is_reachable_v4(text: str) -> bool:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return False
    return address.version == 4 and not address.is_loopback


def _rules(connection: Connection) -> bool:
    project = connection.current_project_id
    group = connection.network.find_security_group("default", ignore_missing=False, project_id=project)
    present = {
        (rule.protocol, rule.port_range_min)
        for rule in connection.network.security_group_rules(security_group_id=group.id, direction="ingress")
    }
    missing = [rule for rule in OPENED if rule not in present]
    for protocol, port in missing:
        connection.network.create_security_group_rule(
            security_group_id=group.id,
            direction="ingress",
            ether_type="IPv4",
            protocol=protocol,
            port_range_min=port,
            port_range_max=port,
            remote_ip_prefix="0.0.0.0/0",
        )
    return bool(missing)


def _flavors(connection: Connection) -> bool:
    present = {flavor.name: flavor for flavor in connection.compute.flavors()}
    changed = False
    for flavor in FLAVORS:
        made = present.get(flavor.name)
        if made is None:
            made = connection.compute.create_flavor(
                name=flavor.name, vcpus=flavor.vcpus, ram=flavor.ram, disk=flavor.disk
            )
            changed = True
        # Those of an administrator's own stay.
        missing = flavor.extra_specs and {
            key: value
            for key, value in flavor.extra_specs.items()
            if key not in connection.compute.fetch_flavor_extra_specs(made).extra_specs
        }
        if missing:
            connection.compute.create_flavor_extra_specs(made, missing)
            changed = True
    return changed


def _keypairs(cloud: Cloud, connection: Connection) -> bool:
    file = key_file(cloud)
    if not file.exists():
        files.make_directory(file.parent, mode=0o700)
        files.write(
            file,
            ed25519.Ed25519PrivateKey.generate().private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
            ),
            mode=0o600,
        )
    key = serialization.load_ssh_private_key(file.read_bytes(), password=None)
    public = key.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    changed = False
    # Keypairs belong to users, not to projects: the administrator and the member have one each, of the same
    # name.
    for user in ("admin", session.MEMBER):
        owner = connection.identity.find_user(user, ignore_missing=False)
        if any(pair.name == KEYPAIR for pair in connection.compute.keypairs(user_id=owner.id)):
            continue
        connection.compute.create_keypair(name=KEYPAIR, public_key=public.decode(), user_id=owner.id)
        changed = True
    return changed
