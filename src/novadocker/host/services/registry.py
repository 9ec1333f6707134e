# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""All services of the cloud, by name, in the order in which they appear to people."""

from collections.abc import Callable

from novadocker.host.services import (
    docker,
    glance,
    keystone,
    libvirt,
    mariadb,
    neutron,
    nova,
    ovn,
    ovs,
    placement,
    rabbitmq,
)
from novadocker.host.services.model import Cloud, Service

ALL: tuple[Callable[[Cloud], Service], ...] = (
    mariadb.mariadb,
    rabbitmq.rabbitmq,
    ovs.ovsdb,
    ovs.vswitchd,
    ovn.northbound,
    ovn.southbound,
    ovn.northd,
    ovn.controller,
    docker.containerd,
    docker.docker,
    libvirt.virtlogd,
    libvirt.libvirtd,
    keystone.keystone,
    glance.glance,
    placement.placement,
    neutron.neutron_api,
    neutron.maintenance,
    neutron.periodic,
    neutron.agent,
    nova.nova_api,
    nova.nova_metadata,
    nova.conductor,
    nova.scheduler,
    nova.compute_libvirt,
    nova.compute_docker,
)


def services(cloud: Cloud) -> dict[str, Service]:
    """Declare every service of `cloud`."""
    declared = [declare(cloud) for declare in ALL]
    return {service.name: service for service in declared}
