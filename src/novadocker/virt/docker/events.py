# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""Docker's events become Nova's: a process that ends by itself is known at once, not at the next power sync.

Nova ignores a lifecycle event while the server has a task (nova/compute/manager.py,
_sync_instance_power_state). An end seen during one of our own operations is therefore told when the
operation is over, and again until Nova has taken note: its manager clears the task only some time after our
method has returned.
"""

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from oslo_log import log as logging

from novadocker.virt.docker import names
from novadocker.virt.docker.doors import Engine, EngineEvent, EventStream
from novadocker.virt.docker.errors import EngineError
from novadocker.virt.docker.news import STOPPED, Emit, News

LOG = logging.getLogger(__name__)

_RECONNECT_SLOWEST = 10.0

# Docker's action to ours, and to the status it leaves; what is missing here is no change of power.
_CHANGES = {
    "start": ("started", "running"),
    "die": (STOPPED, "exited"),
    "pause": ("paused", "paused"),
    "unpause": ("resumed", "running"),
}
_GONE = "gone"
# Of one that we made or started and whose event has not come: there may be no stream at the time.
_UNSEEN = "unseen"
_ENDED = {"exited", "dead", _GONE}


class Watcher:
    """Follows the daemon's events in a thread.

    :param emit: tells Nova (uuid, "started" | "stopped" | "paused" | "resumed").
    :param settled: whether Nova's record agrees that a server has stopped, or no longer cares.
    :param lost: whether a server is of this host and yet has no container.
    :param rebooted: starts a server again that has ended to be rebooted; says whether it had.
    """

    def __init__(
        self,
        *,
        engine: Engine,
        host: str,
        emit: Emit,
        settled: Callable[[str], bool],
        lost: Callable[[str], bool],
        rebooted: Callable[[str], bool],
    ) -> None:
        self._engine = engine
        self._host = host
        self._settled = settled
        self._lost = lost
        self._rebooted = rebooted
        self._news = News(
            emit=emit,
            settled=lambda uuid: self._settled(uuid),
            stands=lambda uuid: uuid not in self._busy and self._states.get(uuid) in _ENDED,
        )
        self._stopping = threading.Event()
        self._stream: EventStream | None = None
        self._lock = threading.Lock()
        self._busy: dict[str, int] = {}
        self._ended_while_busy: set[str] = set()
        self._removed_while_busy: set[str] = set()
        self._states: dict[str, str] = {}
        self._short_of_memory: dict[str, datetime] = {}
        self._connected = False
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to follow."""
        self._news.start()
        self._thread = threading.Thread(target=self._follow, name="docker-events", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop following, at once."""
        self._stopping.set()
        self._news.stop()
        stream = self._stream
        if stream is not None:
            stream.close()

    def look_again(self, servers: Iterable[str]) -> None:
        """Tell which of these servers, and of those with a container, have ended while Nova thinks otherwise.

        For the time before we followed: when Nova has gone through its servers at its start, and started
        again what it means to run.
        """
        now = self._seen()
        for uuid in {*servers, *now}:
            status = now.get(uuid, _GONE)
            if status in _ENDED and not self._comes_back(uuid):
                self._states[uuid] = status
                self._news.tell(uuid, STOPPED, unless_known=True)

    def short_of_memory(self, uuid: str) -> datetime | None:
        """Return when the kernel last killed one of a running server's processes for want of memory."""
        return self._short_of_memory.get(uuid)

    @contextmanager
    def operation(self, uuid: str, *, ends_running: bool, keeps: bool = False) -> Iterator[None]:
        """Mark a server as being changed by us: what its containers do meanwhile is no news to Nova.

        :param ends_running: the server is meant to run afterwards, so an end during the operation is news
            then; as it is where the operation fails.
        :param keeps: the operation removes no container, so it was another who did if one goes.
        """
        with self._lock:
            if uuid not in self._busy:
                self._ended_while_busy.discard(uuid)
                self._removed_while_busy.discard(uuid)
            self._busy[uuid] = self._busy.get(uuid, 0) + 1
        failed = True
        try:
            yield
            failed = False
        finally:
            with self._lock:
                self._busy[uuid] -= 1
                if not self._busy[uuid]:
                    del self._busy[uuid]
                ended = uuid in self._ended_while_busy and uuid not in self._busy
                if ended and (ends_running or failed):
                    self._ended_while_busy.discard(uuid)
                removed = uuid in self._removed_while_busy and uuid not in self._busy
                if removed:
                    self._removed_while_busy.discard(uuid)
                if ends_running:
                    self._states.setdefault(uuid, _UNSEEN)
            if removed and keeps:
                self._find_lost(uuid)
            if ended and (ends_running or failed):
                self._news.tell(uuid, STOPPED)

    def _follow(self) -> None:
        delay = 0.5
        while not self._stopping.is_set():
            try:
                stream = self._stream = self._engine.events(host=self._host)
                self._catch_up()
                delay = 0.5
                for event in stream:
                    self._handle(event)
            except EngineError as error:
                if not self._stopping.is_set():
                    LOG.warning("Docker's events are cut off, trying again in %(delay)g s: %(why)s",
                                {"delay": delay, "why": error})  # fmt: skip
            except Exception:
                LOG.exception("Following Docker's events failed")
            self._stopping.wait(delay)
            delay = min(delay * 2, _RECONNECT_SLOWEST)

    def _catch_up(self) -> None:
        """Tell what changed while there was no stream; at first, Nova has just looked itself."""
        now = self._seen()
        first, self._connected = not self._connected, True
        before, self._states = self._states, now
        if first:
            return
        for uuid, status in now.items():
            change = {"running": "started", "paused": "paused", "exited": STOPPED, "dead": STOPPED}.get(
                status
            )
            if change and before.get(uuid) != status:
                self._changed(uuid, change)
        for uuid in before.keys() - now.keys():
            self._removed(uuid)

    def _seen(self) -> dict[str, str]:
        found = self._engine.list(host=self._host, role=names.WORKLOAD)
        return {
            one.labels.get(names.LABEL_UUID, ""): one.status for one in found if not names.set_aside(one.name)
        }

    def _handle(self, event: EngineEvent) -> None:
        if event.role != names.WORKLOAD or not event.uuid:
            return
        if event.action == "destroy":
            self._removed(event.uuid)
        elif event.action == "oom":
            LOG.warning("The kernel killed a process of server %s: it used more memory than its flavor has",
                        event.uuid)  # fmt: skip
            self._short_of_memory[event.uuid] = datetime.now(UTC)
        elif event.action in _CHANGES:
            change, self._states[event.uuid] = _CHANGES[event.action]
            if change == "started":
                self._short_of_memory.pop(event.uuid, None)
            self._changed(event.uuid, change)

    def _removed(self, uuid: str) -> None:
        """Tell of a container that was removed by others than us; the news of our own may come late."""
        self._short_of_memory.pop(uuid, None)
        with self._lock:
            busy = uuid in self._busy
            if busy:
                self._removed_while_busy.add(uuid)
        if not busy:
            self._find_lost(uuid)

    def _find_lost(self, uuid: str) -> None:
        try:
            if not self._lost(uuid):
                return
        except EngineError as error:
            LOG.warning(
                "Whether server %(id)s has a container is not known yet: %(why)s", {"id": uuid, "why": error}
            )
            self._states[uuid] = _UNSEEN  # with the next stream it is looked for again
            return
        LOG.warning("The container of server %s was removed behind Nova's back", uuid)
        self._states[uuid] = _GONE
        self._news.tell(uuid, STOPPED)

    def _changed(self, uuid: str, change: str) -> None:
        with self._lock:
            busy = uuid in self._busy
            if busy and change == STOPPED:
                self._ended_while_busy.add(uuid)
            elif busy and change == "started":
                self._ended_while_busy.discard(uuid)
        if not busy and not (change == STOPPED and self._comes_back(uuid)):
            self._news.tell(uuid, change)

    def _comes_back(self, uuid: str) -> bool:
        """Say whether a server has ended to be rebooted; one under an operation of ours is left to it."""
        if uuid in self._busy:
            return False
        try:
            return self._rebooted(uuid)
        except EngineError as error:
            LOG.warning("Server %(id)s did not come back: %(why)s", {"id": uuid, "why": error})
            return False
