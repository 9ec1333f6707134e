# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""A server's container: made, started, stopped, removed; and what its namespaces are held by.

Those are kept by mounts (namespaces.py) or, where dockerd runs without our runtime and of servers that were
made there, by a second container, the sandbox. Every step can be done again.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace

from oslo_log import log as logging

from novadocker.virt.docker import names, power
from novadocker.virt.docker.doors import Engine
from novadocker.virt.docker.errors import Busy, EngineError, NotFound, ProcessFailed
from novadocker.virt.docker.gates import Gates
from novadocker.virt.docker.namespaces import Namespaces
from novadocker.virt.docker.power import Container
from novadocker.virt.docker.progress import Done, untold
from novadocker.virt.docker.spec import ContainerSpec

LOG = logging.getLogger(__name__)

_REMOVE_ATTEMPTS = 5


class Containers:
    """The containers of this host's servers."""

    def __init__(self, *, engine: Engine, host: str, gates: Gates, namespaces: Namespaces) -> None:
        self._engine = engine
        self._host = host
        self._gates = gates
        self._namespaces = namespaces

    @property
    def keeps_namespaces(self) -> bool:
        """Whether a server made now needs no sandbox."""
        return self._namespaces.there

    def workload(self, uuid: str) -> Container | None:
        """Look at a server's workload; None when there is none, or it belongs to another nova-compute."""
        return self._mine(names.container(uuid=uuid, role=names.WORKLOAD))

    def workloads(self) -> list[Container]:
        """Return the workloads of all this host's servers."""
        found = self._engine.list(host=self._host, role=names.WORKLOAD)
        return [one for one in found if not names.set_aside(one.name)]

    def complete(self, uuid: str) -> bool:
        """Say whether a server has its container, and the sandbox that one may need."""
        found = self.workload(uuid)
        if found is None:
            return False
        return self._sandbox(uuid) is not None if found.joins else self._namespaces.there

    def make(self, *, sandbox: ContainerSpec | None, workload: ContainerSpec, done: Done = untold) -> str:
        """Make what is missing of a server; return its network namespace.

        Docker ties a workload to its sandbox's id: one whose sandbox is gone is made again, from its disk;
        and so is one whose namespaces are no longer kept here.

        :param sandbox: None where a workload made now needs none.
        """
        uuid = workload.labels[names.LABEL_UUID]
        found = self._mine(workload.name)
        if found is not None and not self.complete(uuid):
            LOG.warning("Server %s has lost what holds its namespaces; its container is made again", uuid)
            self._engine.commit(workload.name, reference=names.kept_tag(uuid))
            self._remove_with_image(workload.name)
            workload, found = replace(workload, image=names.kept_tag(uuid)), None
        joins = found.joins if found is not None else sandbox is not None
        if joins and sandbox is not None and self._sandbox(uuid) is None:
            self._engine.create(sandbox)
        namespace = self._sandbox_restarted(uuid) if joins else self._namespaces.hold(uuid)
        done("sandbox")
        made = found.id if found is not None else self._engine.create(workload)
        if not joins:
            self._namespaces.enter(made, uuid)
        done("container")
        return namespace

    def made_ready(self, uuid: str) -> str:
        """Return the network namespace of a server that is about to start, made again where it has gone."""
        found = self.workload(uuid)
        if found is None:
            raise ProcessFailed("The server's container is gone.", hint="A hard reboot makes it again.")
        if found.joins:
            return self._sandbox_restarted(uuid)
        if not self._namespaces.there:
            raise ProcessFailed(
                "The server's namespaces are not kept on this host any more.",
                hint="A hard reboot makes its container again, from its disk.",
            )
        namespace = self._namespaces.hold(uuid, pid=found.pid if found.running else 0)
        self._namespaces.enter(found.id, uuid)
        return namespace

    def namespace(self, uuid: str) -> str | None:
        """Return the server's network namespace; None when there is none."""
        workload = self.workload(uuid)
        if workload is not None and not workload.joins and (kept := self._namespaces.find(uuid)):
            return kept
        # A workload that runs outlives its sandbox, and what kept its namespaces.
        for found in (self._sandbox(uuid) if workload is None or workload.joins else None, workload):
            if found and found.running:
                return _network_of(found)
        return None

    def _sandbox_restarted(self, uuid: str) -> str:
        found = self._sandbox(uuid)
        if found is not None and not found.running:
            self._engine.start(found.name)
            found = self._sandbox(uuid)
        if found is None or not found.running:
            raise ProcessFailed(
                "The server's sandbox does not run.",
                facts=found.error if found else "It is gone.",
                hint="A hard reboot makes it again.",
            )
        return _network_of(found)

    def _sandbox(self, uuid: str) -> Container | None:
        return self._mine(names.container(uuid=uuid, role=names.SANDBOX))

    def start(self, uuid: str) -> None:
        """Start a server's process; one that runs, goes on, and a frozen one is freed.

        :raises: ProcessFailed when its command cannot be run
        """
        name = names.container(uuid=uuid, role=names.WORKLOAD)
        found = self._mine(name)
        if found is not None and found.status == "paused":
            self._engine.unpause(name)
            return
        try:
            self._engine.start(name)
        except (NotFound, Busy):
            raise
        except EngineError as error:
            raise ProcessFailed(
                "The server's command could not be started:", facts=_reason(error.facts)
            ) from error

    @contextmanager
    def held(self, uuid: str) -> Iterator[Callable[[], None]]:
        """Make a new server's process ready, and start it when the function yielded is called, not before.

        Meanwhile the engine answers no question about this container. Where its start cannot be held, or not
        for as long, all of it comes then.

        :raises: ProcessFailed, from that function, when its command cannot be run
        """
        found = self._mine(names.container(uuid=uuid, role=names.WORKLOAD))
        if not self._gates.there or found is None:
            yield lambda: self.start(uuid)
            return
        with self._gates.shut(found.id) as gate, ThreadPoolExecutor(max_workers=1) as beside:
            starting = beside.submit(self._engine.start, found.id)

            def begin() -> None:
                waits = not starting.done()
                gate.open()
                if waits and starting.exception() is None:
                    return
                # Too late, or it failed of itself: what that was, the second start says.
                self.start(uuid)

            try:
                yield begin
            finally:
                gate.close()

    def watch(self, uuid: str, *, seconds: float) -> None:
        """Look on as a process begins; raises ProcessFailed when it fails meanwhile, with its last words."""
        name = names.container(uuid=uuid, role=names.WORKLOAD)
        code = self._engine.wait(name, timeout=seconds) if seconds > 0 else None
        if not code:
            return
        lines = self._engine.logs(name, limit=4096).decode(errors="replace").strip().splitlines()
        found = self._engine.inspect(name)
        end = power.epitaph(found) if found else f"ended with exit code {code}"
        raise ProcessFailed(
            f"The server's process {end}.", facts=f"Its last line: {lines[-1][:120]}" if lines else ""
        )

    def reboot_if_wanted(self, uuid: str) -> bool:
        """Start a server again that has ended because somebody inside asked for a reboot; say whether it had.

        Its namespaces stay, and with them its network.
        """
        found = self.workload(uuid)
        if found is None or not power.reboot_wanted(found):
            return False
        LOG.info("Server %s reboots: somebody inside asked for it", uuid)
        self._engine.start(found.name)
        return True

    def stop(self, uuid: str, *, grace: int) -> None:
        """Stop a server's process, kindly for `grace` seconds; its namespace stays."""
        name = names.container(uuid=uuid, role=names.WORKLOAD)
        found = self._mine(name)
        if found is None or not found.running:
            return
        if found.status == "paused":  # a frozen process hears no signal
            self._engine.unpause(name)
        if grace > 0:
            self._engine.stop(name, grace=grace)
        else:
            self._engine.kill(name)
            self._engine.wait(name, timeout=10)

    def pause(self, uuid: str) -> None:
        """Freeze a server's processes."""
        self._engine.pause(names.container(uuid=uuid, role=names.WORKLOAD))

    def unpause(self, uuid: str) -> None:
        """Let a frozen server go on; one that is not frozen is left as it is."""
        name = names.container(uuid=uuid, role=names.WORKLOAD)
        found = self._mine(name)
        if found is None or found.status == "paused":
            self._engine.unpause(name)

    def remove(self, uuid: str, *, returns: bool = False) -> None:
        """Remove a server's containers and namespaces; what is gone already is fine.

        :param returns: it goes back to what it was before a move, so the disk from before stays.
        """
        for role in (names.WORKLOAD, names.RESCUED, names.SANDBOX):
            name = names.container(uuid=uuid, role=role)
            self._remove_with_image(name)
        self._namespaces.remove(uuid)
        self._engine.untag(names.kept_tag(uuid))
        if not returns:
            self._engine.untag(names.before_tag(uuid))

    def remove_workload(self, uuid: str) -> None:
        """Remove the container that runs the server's image; its network stays."""
        self._remove_with_image(names.container(uuid=uuid, role=names.WORKLOAD))

    def prepare(self) -> None:
        """Begin anew: no start is waited for by now."""
        self._gates.prepare()
        self._namespaces.prepare()

    def remove_orphans(self) -> None:
        """Remove what holds the namespaces of no workload: a build was cut short.

        Only while none is under way.
        """
        for one in self._engine.list(host=self._host, role=names.SANDBOX):
            uuid = one.labels.get(names.LABEL_UUID, "")
            roles = (names.WORKLOAD, names.RESCUED)
            found = [self._mine(names.container(uuid=uuid, role=role)) for role in roles]
            if not any(each and each.joins for each in found):
                LOG.info("Removing sandbox %s: no server lives in it", one.name)
                self._remove(one.id)
        here = {one.labels.get(names.LABEL_UUID) for one in self.workloads()}
        for uuid in self._namespaces.servers():
            if uuid not in here:
                LOG.info("Removing the namespaces of %s: it was never finished", uuid)
                self._namespaces.remove(uuid)

    def keep_namespaces(self) -> None:
        """Keep those of servers that run and have lost what kept them: they would go with their process."""
        if not self._namespaces.there:
            return
        for one in self.workloads():
            uuid = one.labels.get(names.LABEL_UUID, "")
            if one.running and self._namespaces.find(uuid) is None:
                found = self.workload(uuid)
                if found is not None and found.running and not found.joins:
                    self._namespaces.hold(uuid, pid=found.pid)

    def _remove_with_image(self, name: str) -> None:
        """Remove a container, and its image where a newer disk of the server has taken its only tag."""
        found = self._mine(name)
        if found is not None:
            self._remove(name)
            self._namespaces.forget(found.id)
            self._engine.drop(found.image)

    def _remove(self, name: str) -> None:
        for attempt in range(1, _REMOVE_ATTEMPTS + 1):
            try:
                self._engine.remove(name)
            except (Busy, EngineError) as error:
                # "removal … is already in progress", or "device or resource busy" while its last process
                # dies: waiting for its end is what makes the next attempt different.
                if attempt == _REMOVE_ATTEMPTS:
                    raise
                LOG.warning("Could not remove container %(name)s yet: %(why)s", {"name": name, "why": error})
                try:
                    self._engine.wait(name, timeout=2 * attempt)
                except NotFound:
                    return
            else:
                return

    def _mine(self, name: str) -> Container | None:
        found = self._engine.inspect(name)
        return found if found and found.labels.get(names.LABEL_HOST) == self._host else None


def _network_of(found: Container) -> str:
    return f"/proc/{found.pid}/ns/net"


def _reason(text: str) -> str:
    """Return the end of runc's long chain of causes, which is the one that says something."""
    words = text.replace("\\n", " ").strip()
    marker = "container process caused: "
    return words.rpartition(marker)[2][:150] if marker in words else words[-150:]
