# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""Which supervisor a cloud's services have on this machine."""

from collections.abc import Mapping

from novadocker.host import cgroups, render
from novadocker.host.services.model import Cloud, Service
from novadocker.host.supervise import supervisord
from novadocker.host.supervise.door import Supervision


def of(cloud: Cloud, services: Mapping[str, Service]) -> Supervision:
    """How `services` run here.

    :raises NovaDockerError: if the machine has no control groups.
    """
    group = cgroups.hierarchies().follow / cloud.config.name
    groups = {name: group / name for name in (*services, "supervisor")}
    return Supervision(
        supervisor=supervisord.of(cloud),
        settings=(render.supervisor_file(cloud, services),),
        scripts={
            name: render.start_script(cloud, service, group=str(groups[name]))
            for name, service in services.items()
        },
        groups=groups,
    )
