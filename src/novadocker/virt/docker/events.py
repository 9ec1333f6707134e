# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""Docker's events become Nova's: a process that ends by itself is known at once, not at the next power sync.

Nova ignores a lifecycle event while the server has a task (nova/compute/manager.py,
_sync_instance_power_state). An end seen during one of our own operations is therefore told when the
operation is over, and again until Nova has taken note: its manager clears the task only some time after our
method has returned.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from oslo_log import log as logging

from novadocker.virt.docker import names
from novadocker.virt.docker.doors import Engine, EngineEvent, EventStream
from novadocker.virt.docker.errors import EngineError

LOG = logging.getLogger(__name__)

# Seconds between two tellings of one end: together about two minutes, within which every task of ours is
# over.
_TELL_AGAIN = (0.5, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0)
_RECONNECT_SLOWEST = 10.0

# Docker's action to ours; what is missing here is no change of power.
_CHANGES = {"start": "started", "die": "stopped", "pause": "paused", "unpause": "resumed"}

Emit = Callable[[str, str], None]


class Watcher:
    """Follows the daemon's events in a thread.

    :param emit: tells Nova (uuid, "started" | "stopped" | "paused" | "resumed").
    :param settled: whether Nova's record agrees that a server has stopped, or no longer cares.
    """

    def __init__(self, *, engine: Engine, host: str, emit: Emit, settled: Callable[[str], bool]) -> None:
        self._engine = engine
        self._host = host
        self._emit = emit
        self._settled = settled
        self._stopping = threading.Event()
        self._stream: EventStream | None = None
        self._lock = threading.Lock()
        self._busy: dict[str, int] = {}
        self._ended_while_busy: set[str] = set()
        self._states: dict[str, str] = {}
        self._connected = False
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to follow."""
        self._thread = threading.Thread(target=self._follow, name="docker-events", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop following, at once."""
        self._stopping.set()
        stream = self._stream
        if stream is not None:
            stream.close()

    @contextmanager
    def operation(self, uuid: str, *, ends_running: bool) -> Iterator[None]:
        """Mark a server as being changed by us: what its containers do meanwhile is no news to Nova.

        :param ends_running: the server is meant to run afterwards, so an end during the operation is news
            then.
        """
        with self._lock:
            self._busy[uuid] = self._busy.get(uuid, 0) + 1
            self._ended_while_busy.discard(uuid)
        try:
            yield
        finally:
            with self._lock:
                self._busy[uuid] -= 1
                if not self._busy[uuid]:
                    del self._busy[uuid]
                ended = uuid in self._ended_while_busy and uuid not in self._busy
                self._ended_while_busy.discard(uuid)
            if ended and ends_running:
                self._tell_until_settled(uuid)

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
        now = {
            one.labels.get(names.LABEL_UUID, ""): one.status
            for one in self._engine.list(host=self._host, role=names.WORKLOAD)
        }
        first, self._connected = not self._connected, True
        before, self._states = self._states, now
        for uuid, status in now.items():
            change = {"running": "started", "paused": "paused", "exited": "stopped", "dead": "stopped"}.get(
                status
            )
            if not first and change and before.get(uuid) != status:
                self._changed(uuid, change)

    def _handle(self, event: EngineEvent) -> None:
        change = _CHANGES.get(event.action)
        if event.role != names.WORKLOAD or not event.uuid:
            return
        if event.action == "destroy":
            self._states.pop(event.uuid, None)
        if change:
            status = {"started": "running", "resumed": "running", "stopped": "exited", "paused": "paused"}[
                change
            ]
            self._states[event.uuid] = status
            self._changed(event.uuid, change)

    def _changed(self, uuid: str, change: str) -> None:
        with self._lock:
            busy = uuid in self._busy
            if busy and change == "stopped":
                self._ended_while_busy.add(uuid)
            elif busy and change == "started":
                self._ended_while_busy.discard(uuid)
        if busy:
            return
        if change == "stopped":
            self._tell_until_settled(uuid)
        else:
            self._emit(uuid, change)

    def _tell_until_settled(self, uuid: str) -> None:
        threading.Thread(target=self._tell, args=(uuid,), name=f"ended-{uuid[:8]}", daemon=True).start()

    def _tell(self, uuid: str) -> None:
        self._emit(uuid, "stopped")
        for pause in _TELL_AGAIN:
            if self._stopping.wait(pause) or uuid in self._busy or self._states.get(uuid) != "exited":
                return
            try:
                if self._settled(uuid):
                    return
            except Exception:
                LOG.exception("Could not ask whether server %s has stopped", uuid)
            self._emit(uuid, "stopped")
