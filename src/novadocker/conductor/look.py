# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""What a look at a server with a task says of who has its request: pure."""

from collections.abc import Iterable
from dataclasses import dataclass

from nova.compute import task_states
from nova.objects.fields import MigrationType

# Of a migration's record, before a nova-compute has it in hands; and while one has.
UNTOUCHED = ("accepted", "pre-migrating")
IN_HANDS = ("queued", "preparing", "running", "running (post-copy)", "migrating", "post-migrating")

# The tasks for which a conductor is asked, with what Nova's notifications call the request; they know of no
# unshelve.
METHODS = {
    task_states.RESIZE_PREP: "migrate_server",
    task_states.MIGRATING: "migrate_server",
    task_states.REBUILDING: "rebuild_server",
    task_states.UNSHELVING: "",
}
# The names under which a server's owner finds these requests among its events.
ACTIONS = {
    task_states.RESIZE_PREP: ("resize", "migrate"),
    task_states.MIGRATING: ("live-migration",),
    task_states.REBUILDING: ("rebuild", "evacuate"),
    task_states.UNSHELVING: ("unshelve",),
}


@dataclass(frozen=True)
class Event:
    """One step of a request, which whoever takes it notes before anything else."""

    name: str
    ended: bool


@dataclass(frozen=True)
class Move:
    """A migration's record."""

    uuid: str
    kind: str
    status: str
    destination: str


@dataclass(frozen=True)
class Look:
    """A server with a task, at one moment; two that are equal mean that nothing was done in between.

    :param task: empty where a nova-compute took it off, and not what belongs to it.
    :param changed: when its record was written last.
    :param host: empty while it has none.
    :param request: the request's id; empty where an API ended before it noted that.
    :param moves: those that have not come to an end.
    """

    server: str
    task: str
    changed: str
    host: str
    request: str
    events: tuple[Event, ...]
    moves: tuple[Move, ...]

    def in_hands(self) -> bool:
        """Whether a nova-compute has begun with it: then it ends it, or puts it right when it starts anew."""
        begun = any(each.name.startswith("compute_") and not each.ended for each in self.events)
        return begun or any(each.status in IN_HANDS for each in self.moves)

    def evacuates(self) -> bool:
        """Whether its host is given up: nobody answers there."""
        return any(each.kind == MigrationType.EVACUATION for each in self.moves)

    def hosts(self, allocated: Iterable[str]) -> set[str]:
        """In whose queues the request may lie.

        :param allocated: the hosts that Placement keeps room on for the server.
        """
        asked = {self.host, *allocated, *(each.destination for each in self.moves)} - {""}
        return asked - {self.host} if self.evacuates() else asked
