# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""Which supervisor a cloud's services have on this machine."""

from collections.abc import Mapping
from pathlib import Path

from novadocker.host import cgroups, render
from novadocker.host.services.model import Cloud, Service
from novadocker.host.supervise import supervisord, systemd, units
from novadocker.host.supervise.door import Supervision


def of(cloud: Cloud, services: Mapping[str, Service]) -> Supervision:
    """How `services` run here.

    :raises NovaDockerError: if the machine has no control groups.
    """
    follow = cgroups.hierarchies().follow
    # A cloud that supervisord runs stays with it until the machine boots anew, or `down`.
    if systemd.booted() and not cloud.layout.supervisor_socket.exists():
        return below_systemd(cloud, services, follow=follow)
    group = follow / cloud.config.name
    groups = {name: group / name for name in (*services, "supervisor")}
    return Supervision(
        supervisor=supervisord.of(cloud),
        settings=(render.supervisor_file(cloud, services),),
        scripts={
            name: render.start_file(cloud, service, group=str(groups[name]))
            for name, service in services.items()
        },
        groups=groups,
    )


def below_systemd(cloud: Cloud, services: Mapping[str, Service], *, follow: Path) -> Supervision:
    """As units: systemd puts each into a group of its slice, and ends there what a killed program left."""
    name = cloud.config.name
    group = follow / units.group(units.slice_(name))
    return Supervision(
        supervisor=systemd.Systemd(name, services=services),
        settings=units.files(cloud, services),
        scripts={each: render.start_script(cloud, service, group="") for each, service in services.items()},
        groups={each: group / units.service(each, name) for each in services},
        makes_groups=True,
    )


def processes(cloud: str) -> set[int]:
    """The processes of a cloud's services and of its servers, whoever keeps them running.

    :raises NovaDockerError: if the machine has no control groups.
    """
    follow = cgroups.hierarchies().follow
    groups = (cloud, units.group(units.slice_(cloud)))
    return {pid for group in groups for pid in cgroups.members(follow / group)}
