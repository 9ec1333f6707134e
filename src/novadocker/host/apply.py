# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""Bring a cloud up: every service and every first-time step, in the order they need one another.

Each part looks at what is there before it acts: a run after a crash at any point completes what is missing,
and a run on a healthy cloud changes nothing.
"""

import os
import pwd
import time
from pathlib import Path

from novadocker import files, poll, run
from novadocker.errors import NovaDockerError
from novadocker.host import access, cgroups, clients, probes, processes, render, state, uplink
from novadocker.host.bootstrap import agents, computes, content, databases, identity, schemas, storage, switch
from novadocker.host.services import registry
from novadocker.host.services.model import Cloud, ConfigFile, Folder, Service
from novadocker.host.steps import Listener, Step, carry_out
from novadocker.host.supervise.supervisord import Process, Supervisord


class Applier:
    """One run of `up` on one cloud."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self._services = registry.services(cloud)
        self._hierarchies = cgroups.hierarchies()
        self._supervisor = supervisor(cloud)
        self._scripts = {
            name: render.start_script(cloud, service, group=str(self._group(name)))
            for name, service in self._services.items()
        }
        self._states: dict[str, Process] = {}

    def bring_up(self, listener: Listener) -> int:
        """Carry out all steps; returns how many changed something.

        :raises NovaDockerError: what kept the first failed step from its end.
        """
        steps = [
            Step(name="files", act=self._write_files, kind="step"),
            Step(name="supervisor", act=self._start_supervisor, needs=("files",), kind="service"),
        ]
        first_time = self._first_time_steps()
        for step in first_time:
            needs = step.needs or ("supervisor",)
            steps.append(Step(name=step.name, act=step.act, needs=needs, kind=step.kind))
        for service in self._services.values():
            steps.append(
                Step(
                    name=service.name,
                    act=lambda service=service: self._ensure(service),  # type: ignore[misc]
                    needs=("supervisor", *service.needs),
                    kind="service",
                )
            )
        return carry_out(steps, listener=listener)

    def _first_time_steps(self) -> list[Step]:
        cloud = self._cloud
        return [
            Step(name="mariadb-files", act=lambda: databases.make_files(cloud)),
            Step(name="ovs-files", act=lambda: switch.make_switch_database(cloud)),
            Step(name="ovn-files", act=lambda: switch.make_ovn_databases(cloud)),
            Step(name="docker-storage", act=lambda: storage.mount(cloud)),
            Step(name="namespaces", act=lambda: storage.share_namespaces(cloud)),
            Step(name="chassis", act=lambda: switch.describe_chassis(cloud), needs=("vswitchd",)),
            Step(name="uplink", act=lambda: uplink.open_way(cloud.config), needs=("chassis",)),
            *(
                Step(name=f"{name}-schema", act=lambda name=name: self._schema(name), needs=("mariadb",))  # type: ignore[misc]
                for name in schemas.STEPS
            ),
            Step(name="identity", act=lambda: identity.fill(cloud), needs=("keystone",)),
            Step(
                name="hosts",
                act=lambda: computes.wait_until_up(cloud),
                needs=("nova-libvirt", "nova-docker", "nova-api", "nova-scheduler", "placement"),
            ),
            Step(
                name="content",
                act=lambda: content.fill(cloud),
                needs=("nova-api", "neutron", "identity", "ovn-northd", "uplink"),
            ),
            Step(
                name="agents",
                act=lambda: agents.wait_until_alive(cloud),
                needs=("neutron", "neutron-agent", "ovn-controller", "ovn-northd"),
            ),
            Step(name="clients", act=self._introduce_clients, needs=("identity",)),
        ]

    def _group(self, service: str) -> Path:
        return self._hierarchies.follow / self._cloud.config.name / service

    def _write_files(self) -> bool:
        cloud = self._cloud
        for folder in (
            cloud.layout.etc,
            cloud.layout.etc / "start",
            cloud.layout.logs,
            cloud.layout.run,
            cloud.layout.started,
        ):
            files.make_directory(folder)
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
        for script in self._scripts.values():
            changed = files.write(script.path, script.content, mode=script.mode) or changed
        (self._hierarchies.follow / cloud.config.name).mkdir(exist_ok=True)
        for name in (*self._services, "supervisor"):
            self._group(name).mkdir(exist_ok=True)
        return changed

    def _start_supervisor(self) -> bool:
        settings = render.supervisor_file(self._cloud, self._services)
        changed = files.write(settings.path, settings.content, mode=settings.mode)
        alive = self._supervisor.alive()
        if alive and not self._supervisor.reaped():
            # Its child subreaper was killed. Its services would run on, but libvirt would crawl: start anew.
            self._supervisor.end()
            alive = False
        if alive:
            if changed:
                self._supervisor.adopt_settings()
        else:
            for service in self._services.values():
                processes.end_unsupervised(self._group(service.name), outlives=service.outlives)
            processes.end_unsupervised(self._group("supervisor"), outlives=())
            self._supervisor.start(group=self._group("supervisor"))
        self._states = self._supervisor.processes()
        return changed or not alive

    def _ensure(self, service: Service) -> bool:
        """Make the service run with what was rendered, and wait until it is ready."""
        note = self._cloud.layout.started / service.name
        fingerprint = render.fingerprint(service, self._scripts[service.name])
        process = self._states[service.name]
        current = note.is_file() and note.read_text() == fingerprint
        if process.running and current and probes.missing(service.ready) is None:
            return False
        if process.running and not current:
            self._supervisor.stop(service.name)
        if not self._supervisor.processes()[service.name].running:
            processes.end_unsupervised(self._group(service.name), outlives=service.outlives)
            files.write(note, fingerprint)
            self._supervisor.begin(service.name)
        self._await(service)
        return True

    def _await(self, service: Service) -> None:
        log = self._cloud.layout.logs / f"{service.name}.log"

        def missing() -> str | None:
            process = self._supervisor.processes()[service.name]
            if process.state == "FATAL":
                raise NovaDockerError(
                    f"{service.name} does not stay up.",
                    facts=run.last_words(log) or process.said,
                    hint=f"See {log}.",
                )
            if not process.running:
                return f"{process.state.lower()}: {run.last_words(log, lines=2) or process.said}"
            return probes.missing(service.ready)

        try:
            poll.until(missing, why=f"{service.name} ready", seconds=service.within, hint=f"See {log}.")
        except poll.NotInTime as error:
            words = run.last_words(log)
            raise NovaDockerError(error.summary, facts=f"{error.facts}\n{words}", hint=error.hint) from error

    def _introduce_clients(self) -> bool:
        """Add the cloud to the clouds.yaml of whoever runs `up`, and remember which file that was."""
        layout = self._cloud.layout
        memory = state.recall(layout)
        file = Path(memory.clients_file) if memory.clients_file else None
        if file is None:
            file = clients.user_file(environment=os.environ, home=Path.home())
            memory.clients_file = str(file)
            state.remember(layout, memory)
        return clients.write(file, access.accesses(self._cloud))

    def _schema(self, name: str) -> bool:
        """Create a service's schema unless an earlier run completed it and it is still there."""
        layout = self._cloud.layout
        names, make = schemas.STEPS[name]
        tables = databases.tables(self._cloud)
        mark = layout.data / "schemas" / name
        complete = mark.exists() and all(tables.get(database) for database in names)
        for database in names if not complete else ():
            databases.make_database(self._cloud, database, anew=not mark.exists())
        if complete:
            return False
        make(self._cloud)
        files.make_directory(mark.parent)
        files.write(mark, time.strftime("%Y-%m-%dT%H:%M:%SZ\n", time.gmtime()))
        return True


def supervisor(cloud: Cloud) -> Supervisord:
    """The cloud's supervisor."""
    layout = cloud.layout
    return Supervisord(
        socket_path=layout.supervisor_socket,
        settings=layout.etc / "supervisord.conf",
        python=cloud.venv / "bin" / "python",
        log=layout.logs / "supervisor-start.log",
        pid_file=layout.run / "supervisor.pid",
    )


def _identity(user: str) -> tuple[int, int]:
    try:
        entry = pwd.getpwnam(user)
    except KeyError as error:
        raise NovaDockerError(
            f"There is no user {user} on this machine.", hint="Run packages/install: it makes it."
        ) from error
    return entry.pw_uid, entry.pw_gid
