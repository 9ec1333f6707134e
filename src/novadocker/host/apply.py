# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""Bring a cloud up: every service and every first-time step, in the order they need one another.

Each part looks at what is there before it acts: a run after a crash at any point completes what is missing,
and a run on a healthy cloud changes nothing.
"""

import os
import pwd
import shutil
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from novadocker import files
from novadocker.errors import NovaDockerError
from novadocker.host import access, clients, plan, state, uplink
from novadocker.host.bootstrap import (
    agents,
    arrival,
    computes,
    content,
    databases,
    identity,
    schemas,
    storage,
    switch,
)
from novadocker.host.services import backends, registry
from novadocker.host.services.model import Cloud, ConfigFile, Folder, Service
from novadocker.host.steps import Listener, Step, carry_out
from novadocker.host.supervise import choice
from novadocker.host.supervise.door import Supervision
from novadocker.host.supervise.upkeep import Upkeep


class Applier:
    """One run of `up` on one cloud."""

    def __init__(self, cloud: Cloud, *, services: Mapping[str, Service], supervision: Supervision) -> None:
        self._cloud = cloud
        self._services = services
        self._supervision = supervision
        self._upkeep = Upkeep(cloud, services=services, supervision=supervision)

    def bring_up(self, listener: Listener) -> int:
        """Carry out all steps; returns how many changed something.

        :raises NovaDockerError: what kept the first failed step from its end.
        """
        return carry_out(self.steps(), listener=listener)

    def foresee(self) -> list[plan.Change]:
        """Say which files and services `bring_up` would change; changes nothing."""
        supervisor = self._supervision.supervisor
        processes = supervisor.processes() if supervisor.alive() else {}
        running = {name for name, process in processes.items() if process.running}
        return plan.changes(self._cloud, self._services, supervision=self._supervision, running=running)

    def steps(self) -> list[Step]:
        """All there is to do, each step with those it needs."""
        steps = [
            Step(name="files", act=self._write_files, kind="step"),
            Step(name="supervisor", act=self._upkeep.start_supervisor, needs=("files",), kind="service"),
        ]
        first_time = self._first_time_steps()
        for step in first_time:
            needs = step.needs or ("supervisor",)
            steps.append(Step(name=step.name, act=step.act, needs=needs, kind=step.kind))
        for service in self._services.values():
            steps.append(
                Step(
                    name=service.name,
                    act=lambda service=service: self._upkeep.ensure(service),  # type: ignore[misc]
                    needs=("supervisor", *service.needs),
                    kind="service",
                )
            )
        steps.append(
            Step(name="next boot", act=self._supervision.supervisor.keep, needs=tuple(self._services))
        )
        if arrival.pending(self._cloud.layout):
            everything = tuple(step.name for step in steps)
            steps.append(Step(name="arrived", act=lambda: arrival.end(self._cloud.layout), needs=everything))
        return steps

    def _first_time_steps(self) -> list[Step]:
        cloud, backend = self._cloud, backends.of(self._cloud)
        own: list[Step] = []
        databases_need = "mariadb"
        if arrival.pending(cloud.layout):
            own = [Step(name="arrival", act=lambda: arrival.settle(cloud), needs=("mariadb",))]
            databases_need = "arrival"
        return [
            *own,
            Step(name="mariadb-files", act=lambda: databases.make_files(cloud)),
            Step(name="keystone-keys", act=lambda: schemas.make_keys(cloud)),
            Step(name="ovs-files", act=lambda: switch.make_switch_database(cloud)),
            *_OWN_STEPS[cloud.config.network_backend](cloud),
            Step(name="docker-storage", act=lambda: storage.mount(cloud)),
            Step(name="namespaces", act=lambda: storage.share_namespaces(cloud)),
            Step(name="chassis", act=lambda: switch.describe_chassis(cloud), needs=("vswitchd",)),
            Step(name="uplink", act=lambda: uplink.open_way(cloud.config), needs=("chassis",)),
            *(
                Step(
                    name=f"{name}-schema",
                    act=lambda name=name: self._schema(name),  # type: ignore[misc]
                    needs=(databases_need, *(("keystone-keys",) if name == "keystone" else ())),
                )
                for name in schemas.DATABASES
            ),
            Step(name="identity", act=lambda: identity.fill(cloud), needs=("keystone",)),
            Step(
                name="hosts",
                act=lambda: computes.wait_until_up(cloud),
                needs=("identity", "nova-libvirt", "nova-docker", "nova-api", "nova-conductor", "placement"),
            ),
            Step(
                name="content",
                act=lambda: content.fill(cloud),
                needs=("nova-api", "neutron", "identity", "uplink", *backend.networks_need),
            ),
            Step(
                name="agents",
                act=lambda: agents.wait_until_alive(cloud),
                needs=("identity", "neutron", *backend.agents_need),
            ),
            Step(name="clients", act=self._introduce_clients, needs=("identity",)),
        ]

    def _write_files(self) -> bool:
        cloud = self._cloud
        for folder in (
            cloud.layout.etc,
            cloud.layout.etc / "start",
            cloud.layout.run,
            cloud.layout.started,
            cloud.layout.starts,
        ):
            files.make_directory(folder)
        shutil.rmtree(cloud.layout.loading, ignore_errors=True)  # a killed `load` left it
        # Not for everybody's eyes: nova-serialproxy, for one, logs the tokens that open consoles.
        files.make_directory(cloud.layout.logs, mode=0o700)
        # A file or folder that several services declare belongs to the one that is not root: root reads it
        # too.
        owners: dict[Path, tuple[ConfigFile | Folder, tuple[int, int]]] = {}
        for service in self._services.values():
            owner = _identity(service.user) if service.user else (0, 0)
            items: tuple[ConfigFile | Folder, ...] = (*service.folders, *service.files)
            for item in items:
                if item.path not in owners or owners[item.path][1] == (0, 0):
                    owners[item.path] = (item, owner)
        changed = False
        for path, (item, (uid, gid)) in sorted(owners.items()):
            if isinstance(item, Folder):
                changed = files.make_directory(path, mode=item.mode, uid=uid, gid=gid) or changed
            else:
                if not path.parent.is_dir():
                    files.make_directory(path.parent)
                changed = files.write(path, item.content, mode=item.mode, uid=uid, gid=gid) or changed
        for script in self._supervision.scripts.values():
            changed = files.write(script.path, script.content, mode=script.mode) or changed
        for group in () if self._supervision.makes_groups else self._supervision.groups.values():
            group.mkdir(parents=True, exist_ok=True)
        return changed

    def _introduce_clients(self) -> bool:
        """Add the cloud to the clouds.yaml of whoever runs `up`, and remember which file that was."""
        layout = self._cloud.layout
        memory = state.recall(layout)
        file = Path(memory.clients_file) if memory.clients_file else None
        if file is None:
            file = clients.user_file(environment=os.environ, home=Path.home())
            memory.clients_file = str(file)
            state.remember(layout, memory)
        return clients.write(file, access.entries(self._cloud))

    def _schema(self, name: str) -> bool:
        """Create a service's schema unless an earlier run completed it and it is still there."""
        layout = self._cloud.layout
        names = schemas.DATABASES[name]
        tables = databases.tables(self._cloud)
        mark = layout.data / "schemas" / name
        complete = mark.exists() and all(tables.get(database) for database in names)
        for database in names if not complete else ():
            databases.make_database(self._cloud, database, anew=not mark.exists())
        if complete:
            return False
        schemas.make(self._cloud, name)
        files.make_directory(mark.parent)
        files.write(mark, time.strftime("%Y-%m-%dT%H:%M:%SZ\n", time.gmtime()))
        return True


# First-time steps that only one network backend has.
_OWN_STEPS: Mapping[str, Callable[[Cloud], list[Step]]] = {
    "ovn": lambda cloud: [Step(name="ovn-files", act=lambda: switch.make_ovn_databases(cloud))],
    "ovs": lambda cloud: [],
}


def of(cloud: Cloud) -> Applier:
    """A run on this machine.

    :raises NovaDockerError: if it has no control groups.
    """
    services = registry.services(cloud)
    return Applier(cloud, services=services, supervision=choice.of(cloud, services))


def _identity(user: str) -> tuple[int, int]:
    try:
        entry = pwd.getpwnam(user)
    except KeyError as error:
        raise NovaDockerError(
            f"There is no user {user} on this machine.", hint="Run packages/install: it makes it."
        ) from error
    return entry.pw_uid, entry.pw_gid
