# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""All services of the cloud, by name, in the order in which they appear to people."""

from collections.abc import Callable, Mapping
from dataclasses import replace

from novadocker.errors import NovaDockerError
from novadocker.host.services import (
    docker,
    glance,
    ini,
    keystone,
    libvirt,
    mariadb,
    ml2_ovn,
    ml2_ovs,
    neutron,
    nova,
    ovn,
    ovs,
    placement,
    rabbitmq,
    shared,
)
from novadocker.host.services.model import Cloud, ConfigFile, Folder, Service

Declaration = Callable[[Cloud], Service]


def _around(
    *, switching: tuple[Declaration, ...], networking: tuple[Declaration, ...]
) -> tuple[Declaration, ...]:
    """What every cloud has, with a network backend's own between it."""
    return (
        mariadb.mariadb,
        rabbitmq.rabbitmq,
        ovs.ovsdb,
        ovs.vswitchd,
        *switching,
        docker.containerd,
        docker.docker,
        libvirt.virtlogd,
        libvirt.libvirtd,
        keystone.keystone,
        glance.glance,
        placement.placement,
        neutron.neutron_api,
        *networking,
        nova.nova_api,
        nova.conductor,
        nova.serialproxy,
        nova.compute_libvirt,
        nova.compute_docker,
    )


# By network backend.
ALL: Mapping[str, tuple[Declaration, ...]] = {
    "ovn": _around(
        switching=(ovn.northbound, ovn.southbound, ovn.northd, ovn.controller),
        networking=(neutron.workers, ml2_ovn.agent),
    ),
    "ovs": _around(
        switching=(),
        networking=(
            neutron.periodic,
            neutron.rpc_server,
            ml2_ovs.switching,
            ml2_ovs.routing,
            ml2_ovs.dhcp,
            ml2_ovs.metadata,
        ),
    ),
}


def services(cloud: Cloud) -> dict[str, Service]:
    """Declare every service of `cloud`, with the options its user added to their files.

    :raises NovaDockerError: if options are for a file that no service has.
    """
    declared = [declare(cloud) for declare in ALL[cloud.config.network_backend]]
    ours = {_name(cloud, file) for service in declared for file in service.files} - {None}
    unknown = sorted(set(cloud.config.options) - ours)
    if unknown:
        raise NovaDockerError(
            f"There is no file {', '.join(unknown)} to which options could be added.",
            facts="There are " + ", ".join(sorted(name for name in ours if name)) + ".",
            hint="Correct [options] in the configuration.",
        )
    return {service.name: _with_cache(cloud, _with_options(cloud, service)) for service in declared}


def _with_cache(cloud: Cloud, service: Service) -> Service:
    """Let OpenStack's programs keep the list of all plugins, which each else collects for itself."""
    if service.command[0] != cloud.bin("python"):
        return service
    folder = shared.cache(cloud, service.user)
    return replace(
        service,
        folders=(*service.folders, Folder(path=folder, mode=0o700)),
        environment={**service.environment, "XDG_CACHE_HOME": str(folder)},
    )


def _with_options(cloud: Cloud, service: Service) -> Service:
    return replace(service, files=tuple(_with_added(cloud, file) for file in service.files))


def _with_added(cloud: Cloud, file: ConfigFile) -> ConfigFile:
    added = cloud.config.options.get(_name(cloud, file) or "")
    return replace(file, content=file.content + ini.added(added)) if added else file


def _name(cloud: Cloud, file: ConfigFile) -> str | None:
    """The name by which a user adds options to a file; None for one that is not of sections of options."""
    if file.path.suffix not in (".conf", ".cnf") or not file.content.startswith(ini.HEADER):
        return None
    return str(file.path.relative_to(cloud.layout.etc))
