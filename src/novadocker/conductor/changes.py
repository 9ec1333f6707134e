# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""Requests for servers that exist, which a conductor had and lost: resize, rebuild, unshelve, moves."""

import sys
from collections.abc import Iterator
from typing import Any

from nova import context as nova_context
from nova import exception, objects
from nova.compute import rpcapi, task_states, utils, vm_states
from nova.objects.fields import MigrationType
from oslo_log import log as logging

from novadocker.conductor import roll_call, room
from novadocker.conductor.look import ACTIONS, IN_HANDS, METHODS, UNTOUCHED, Event, Look, Move
from novadocker.conductor.tasks import ComputeTaskManager

LOG = logging.getLogger(__name__)

_LOST = "The service that was at work on it ended meanwhile. Ask again."
# What a nova-compute gets before a move and, while it is asked to stop, in the midst of one.
_TOPICS = (rpcapi.RPC_TOPIC, rpcapi.RPC_TOPIC_ALT)
_COLD = (MigrationType.RESIZE, MigrationType.MIGRATION)


class Changes:
    """What servers are to become, as far as it is a conductor's; ends what is lost of it."""

    def __init__(self, tasks: ComputeTaskManager) -> None:
        self._tasks = tasks

    def asked(self, context: Any, cells: list[Any]) -> dict[Look, Any]:
        """Those that no nova-compute has begun with, with the server's cell."""
        found: dict[Look, Any] = {}
        for cell in cells:
            with nova_context.target_cell(context, cell) as inside:
                looks = [_look(inside, one) for one in _servers(inside)]
            found |= {look: cell for look in looks if not look.in_hands()}
        return found

    def taken_by_nobody(self, context: Any, asked: dict[Look, Any]) -> Iterator[Look]:
        """Those that lie in no nova-compute's queue."""
        answers: dict[str, bool] = {}
        for look, cell in asked.items():
            with nova_context.target_cell(context, cell) as inside:
                hosts = look.hosts(room.kept(inside, self._tasks.report_client, look.server))
                for host in hosts - answers.keys():
                    answers[host] = all(
                        roll_call.answered(inside, topic=topic, host=host) for topic in _TOPICS
                    )
            if all(answers[host] for host in hosts):
                yield look

    def end(self, context: Any, cell: Any, look: Look) -> None:
        """Leave the server as it was before it was asked for, and say so; nothing if it goes on after all."""
        with nova_context.target_cell(context, cell) as inside:
            now = objects.Instance.get_by_uuid(inside, look.server)
            if _look(inside, now) != look:
                return
            LOG.warning("Nobody works on %s of %s any more: it ends", look.task or "the move", look.server)
            # The server's own record last: who is killed before finds the same again.
            self._give_back(inside, now, look)
            told = exception.NovaException(_LOST)
            try:
                raise told  # Nova's notifications want one that is being handled
            except exception.NovaException:
                if look.task:
                    _take_off(inside, now, look, told)
                self._tell(inside, look, told)

    def _give_back(self, inside: Any, server: Any, look: Look) -> None:
        client = self._tasks.report_client
        if look.task == task_states.UNSHELVING and server.vm_state == vm_states.SHELVED_OFFLOADED:
            client.delete_allocation_for_instance(inside, look.server, force=True)
        if look.task and look.evacuates():
            kept = room.kept(inside, client, look.server)
            for provider in {kept[host] for host in kept if host != look.host}:
                client.remove_provider_tree_from_instance_allocation(inside, look.server, provider)
        for move in _moves(inside, look.server):
            if not look.task and move.migration_type not in _COLD:
                continue  # a nova-compute that starts sees to it
            # A move holds what the server has where it is, and the server what it is to get.
            held = client.get_allocs_for_consumer(inside, move.uuid)["allocations"]
            if held and not client.move_allocations(inside, move.uuid, look.server):
                raise exception.AllocationMoveFailed(
                    source_consumer=move.uuid, target_consumer=look.server, error="Placement refuses it"
                )
            move.status = "error"
            move.save()

    def _tell(self, inside: Any, look: Look, told: Exception) -> None:
        """By an event that failed: a fault is shown of servers in ERROR alone."""
        if look.request:
            inside.request_id = look.request
            name, event = "conductor_lost", objects.InstanceActionEvent
            event.event_start(inside, look.server, name, want_result=False, host=self._tasks.host)
            event.event_finish_with_failure(
                inside, look.server, name, exc_val=told, exc_tb=told.__traceback__, want_result=False
            )


def _take_off(inside: Any, server: Any, look: Look, told: Exception) -> None:
    """End the server's task, unless it is another by now."""
    server.task_state = None
    server.save(expected_task_state=look.task)
    utils.add_instance_fault_from_exc(inside, server, told, sys.exc_info())
    method = METHODS[look.task]
    if method:
        specification = objects.RequestSpec.get_by_instance_uuid(inside, look.server)
        utils.notify_about_compute_task_error(
            inside, method, look.server, specification, server.vm_state, told
        )


def _servers(inside: Any) -> Iterator[Any]:
    """Those with a task that a conductor is asked for, or with what is left of a resize whose task is gone.

    A nova-compute that starts takes that task off, whoever had it, and leaves the migration and its room.
    """
    wanted = {"task_state": list(METHODS), "deleted": False}
    yield from objects.InstanceList.get_by_filters(inside, wanted, expected_attrs=[])
    moves = objects.MigrationList.get_by_filters(inside, {"status": "pre-migrating"})
    moved = {move.instance_uuid for move in moves if move.migration_type in _COLD}
    if moved:
        wanted = {"uuid": list(moved), "deleted": False}
        for server in objects.InstanceList.get_by_filters(inside, wanted, expected_attrs=[]):
            if server.task_state is None:
                yield server


def _look(inside: Any, server: Any) -> Look:
    # The newest of its kind: a server can be locked, say, while it is being rebuilt.
    names = ACTIONS.get(server.task_state or task_states.RESIZE_PREP, ())
    actions = objects.InstanceActionList.get_by_instance_uuid(inside, server.uuid)
    action = next((one for one in actions if one.action in names), None)
    events = objects.InstanceActionEventList.get_by_action(inside, action.id) if action else []
    return Look(
        server=server.uuid,
        task=server.task_state or "",
        changed=str(server.updated_at),
        host=server.host or "",
        request=action.request_id if action else "",
        events=tuple(Event(name=one.event, ended=bool(one.finish_time)) for one in events),
        moves=tuple(
            Move(one.uuid, one.migration_type, one.status, one.dest_compute or "")
            for one in _moves(inside, server.uuid)
        ),
    )


def _moves(inside: Any, server: str) -> list[Any]:
    """Those of a server that have not come to an end."""
    wanted = {"instance_uuid": server, "status": [*UNTOUCHED, *IN_HANDS]}
    return list(objects.MigrationList.get_by_filters(inside, wanted))
