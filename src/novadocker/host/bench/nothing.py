# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""The floor of the cloud itself: a third nova-compute, for a while, whose driver does nothing."""

import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import amqp
from openstack.connection import Connection

from novadocker import files, poll, run
from novadocker.host import cgroups, render
from novadocker.host.bench.servers import MEMORY_MB, VCPUS
from novadocker.host.bootstrap import schemas
from novadocker.host.services import nova, rabbitmq
from novadocker.host.services.model import Cloud, Service

_READY_SECONDS = 60.0
_PROVIDES = "CUSTOM_NOVA_DOCKER_BENCH_"
# What its servers ask for, in place of what is asked of a real hypervisor: of the same number of classes.
EXTRA_SPECS = {
    "resources:VCPU": "0",
    "resources:MEMORY_MB": "0",
    "resources:DISK_GB": "0",
    f"resources:{_PROVIDES}VCPU": str(VCPUS),
    f"resources:{_PROVIDES}MEMORY_MB": str(MEMORY_MB),
    f"resources:{_PROVIDES}DISK_GB": "1",
}


def log(cloud: Cloud) -> Path:
    """Where it writes to."""
    return cloud.layout.run / "bench" / "nova-nothing.log"


@contextmanager
def running(cloud: Cloud, connection: Connection) -> Iterator[None]:
    """Have the service, known to the cell and to Placement, and leave nothing of it."""
    service = nova.compute_nothing(cloud)
    clear(cloud, connection)
    with ExitStack() as undo:
        undo.callback(clear, cloud, connection)
        _begin(cloud, service)
        host = _host(cloud)

        def not_there() -> str | None:
            up = any(one.state == "up" for one in connection.compute.services(host=host))
            known = up and any(one.name == host for one in connection.placement.resource_providers(name=host))
            return None if known else run.last_words(log(cloud)) or "it has written nothing"

        poll.until(
            not_there, why=f"A nova-compute on {host}", seconds=_READY_SECONDS, hint=f"See {log(cloud)}."
        )
        schemas.discover_hosts(cloud)
        yield


def end(cloud: Cloud, connection: Connection) -> None:
    """End the service, and tell Nova, which then removes its servers by itself.

    It would take the service for up for a minute more, and leave a delete to it for ever.
    """
    mounted = cgroups.hierarchies()
    cgroups.kill(mounted, name=_group(cloud))
    cgroups.remove(mounted, name=_group(cloud))
    for one in connection.compute.services(host=_host(cloud)):
        connection.compute.update_service_forced_down(one, forced=True)


def clear(cloud: Cloud, connection: Connection) -> None:
    """Remove the service and all that it leaves in the cloud, also of a run that was interrupted."""
    end(cloud, connection)
    host = _host(cloud)
    # Nova takes the host's mapping and its provider away with the service.
    for one in connection.compute.services(host=host):
        connection.compute.delete_service(one)
    for provider in connection.placement.resource_providers(name=host):
        connection.placement.delete_resource_provider(provider)
    for each in connection.placement.resource_classes():
        if each.name.startswith(_PROVIDES):
            connection.placement.delete_resource_class(each)
    _forget_queue(cloud, f"compute.{host}")
    service = nova.compute_nothing(cloud)
    for file in (*service.files, render.start_script(cloud, service, group="")):
        if "nothing" in file.path.name:
            file.path.unlink(missing_ok=True)
    for folder in service.folders:
        if folder.path.name == service.name:
            shutil.rmtree(folder.path, ignore_errors=True)
    shutil.rmtree(cloud.layout.etc / service.name, ignore_errors=True)
    (cloud.layout.starts / service.name).unlink(missing_ok=True)
    log(cloud).unlink(missing_ok=True)


def _begin(cloud: Cloud, service: Service) -> None:
    group = cgroups.hierarchies().follow / _group(cloud)
    group.mkdir(parents=True, exist_ok=True)
    script = render.start_script(cloud, service, group=str(group))
    for folder in service.folders:
        if not folder.path.is_dir():
            files.make_directory(folder.path, mode=folder.mode)
    files.make_directory(cloud.layout.etc / service.name)
    for file in service.files:
        if file.path.parent.name == service.name:
            files.write(file.path, file.content, mode=file.mode)
    files.write(script.path, script.content, mode=script.mode)
    files.make_directory(log(cloud).parent, mode=0o700)
    # It ends with the instrument, however that ends.
    run.spawn_detached(
        ["setpriv", "--pdeathsig", "KILL", "/bin/sh", script.path],
        log=log(cloud),
        environment=dict(os.environ),
    )


def _forget_queue(cloud: Cloud, name: str) -> None:
    """Delete the queue of messages to the host, which lasts."""
    with amqp.Connection(
        host=f"127.0.0.1:{cloud.config.ports['rabbitmq']}",
        userid=rabbitmq.CLIENT,
        password=str(cloud.secrets["rabbitmq"]),
    ) as broker:
        broker.channel().queue_delete(name)


def _host(cloud: Cloud) -> str:
    return f"{cloud.hostname}-nothing"


def _group(cloud: Cloud) -> str:
    return f"{cloud.config.name}/bench"
