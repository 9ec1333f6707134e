# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""nova-conductor with an eye on requests that were lost with a killed service.

oslo.messaging takes a request off the broker when it arrives, and only then somebody works on it; who is
killed meanwhile takes the request along. A server that was to be built stays in BUILD for ever: it has no
host whose nova-compute would put it right. One that was there before keeps its task, for which nova-compute
was not asked yet. This is for a cloud with one conductor of one worker: others would take each other's
work for lost.
"""

import time
from collections.abc import Iterator
from typing import Any

from nova import context as nova_context
from nova import exception, objects
from nova.compute import rpcapi as compute_rpcapi
from nova.compute import vm_states
from nova.conductor import manager
from nova.conductor import rpcapi as conductor_rpcapi
from oslo_config import cfg
from oslo_log import log as logging
from oslo_service import periodic_task

from novadocker.conductor import roll_call, room
from novadocker.conductor.changes import Changes
from novadocker.conductor.look import Look
from novadocker.conductor.overdue import Overdue
from novadocker.conductor.tasks import ComputeTaskManager

CONF = cfg.CONF
LOG = logging.getLogger(__name__)

# An API needs milliseconds between writing a request down and sending it; a machine out of breath, seconds.
_SECONDS = 45
_LOST = "the service that was at work on it ended meanwhile. Delete it, and ask again."


class ConductorManager(manager.ConductorManager):  # type: ignore[misc]
    """Nova's, and an end for builds and changes of servers that nobody works on."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.additional_endpoints.remove(self.compute_task_mgr)
        self.compute_task_mgr: ComputeTaskManager = ComputeTaskManager()
        self.additional_endpoints.append(self.compute_task_mgr)
        self._overdue_builds: Overdue[str] = Overdue(seconds=_SECONDS)
        self._changes = Changes(self.compute_task_mgr)
        # A nova-compute that takes one up notes that through a conductor, before all else. If it asked one
        # that was killed, it waits so long for the answer; then it puts the server right by itself.
        unsaid = CONF.rpc_response_timeout + _SECONDS
        self._overdue_changes: Overdue[Look] = Overdue(seconds=unsaid, calls=3)

    @periodic_task.periodic_task(spacing=10)  # type: ignore[untyped-decorator]
    def end_lost_builds(self, context: Any) -> None:
        """Put servers into ERROR, with a sentence, whose build was in the hands of a service that ended."""
        if CONF.conductor.workers != 1:
            return
        context = nova_context.get_admin_context()
        requests = {one.instance_uuid: one for one in objects.BuildRequestList.get_all(context)}
        homeless = {one.uuid: cell for cell, one in _homeless(context) if one.uuid not in requests}
        waiting: list[str] = []
        if (requests or homeless) and roll_call.answered(context, topic=conductor_rpcapi.RPC_TOPIC):
            waiting = [*requests, *self._taken_by_nobody(context, homeless)]
        at_work = self.compute_task_mgr.at_work()
        for lost in self._overdue_builds.among(waiting, at_work=at_work, now=time.monotonic()):
            LOG.warning("Nobody works on the build of %s any more: it ends", lost)
            told = exception.BuildAbortException(instance_uuid=lost, reason=_LOST)
            try:
                raise told  # Nova's notifications want one that is being handled
            except exception.BuildAbortException:
                if lost in requests:
                    self._end_request(context, requests[lost], told)
                else:
                    self._end_server(context, homeless[lost], lost, told)

    @periodic_task.periodic_task(spacing=10)  # type: ignore[untyped-decorator]
    def end_lost_changes(self, context: Any) -> None:
        """Take the task off servers whose resize, rebuild, unshelve or move was lost; they are as before."""
        if CONF.conductor.workers != 1:
            return
        context = nova_context.get_admin_context()
        asked = self._changes.asked(context, _cells(context))
        waiting: list[Look] = []
        if asked and roll_call.answered(context, topic=conductor_rpcapi.RPC_TOPIC):
            waiting = list(self._changes.taken_by_nobody(context, asked))
        ours = self.compute_task_mgr.at_work()
        at_work = [look for look in waiting if look.server in ours]
        for lost in self._overdue_changes.among(waiting, at_work=at_work, now=time.monotonic()):
            try:
                self._changes.end(context, asked[lost], lost)
            except Exception:  # one that cannot be ended now is no reason to leave others
                LOG.exception("%s of %s is lost, and could not be ended yet", lost.task, lost.server)

    def _taken_by_nobody(self, context: Any, homeless: dict[str, Any]) -> Iterator[str]:
        """Those servers that lie in no nova-compute's queue, and would have a host if one had begun.

        A build waits its turn in nova-compute, too, where more than a few are worked on at a time.
        """
        answers: dict[str, bool] = {}
        for server, cell in homeless.items():
            with nova_context.target_cell(context, cell) as inside:
                kept = room.kept(inside, self.compute_task_mgr.report_client, server)
                host = next(iter(kept), "")
                if host and host not in answers:
                    known = objects.InstanceList.get_by_host(inside, host, expected_attrs=[])
                    busy = sum(one.vm_state == vm_states.BUILDING or bool(one.task_state) for one in known)
                    most = CONF.max_concurrent_builds or busy + 1
                    answers[host] = busy < most and roll_call.answered(
                        inside, topic=compute_rpcapi.RPC_TOPIC, host=host
                    )
            if not host or answers[host]:
                yield server

    def _end_request(self, context: Any, request: Any, told: Exception) -> None:
        server = request.instance_uuid
        for cell in _cells(context):
            with nova_context.target_cell(context, cell) as inside:
                try:
                    objects.Instance.get_by_uuid(inside, server)
                except exception.InstanceNotFound:
                    continue
            # It was written into its cell already, which nobody was told of.
            mapping = objects.InstanceMapping.get_by_instance_uuid(context, server)
            mapping.cell_mapping = cell
            mapping.save()
            self._end_server(context, cell, server, told)
            request.destroy()
            return
        tasks = self.compute_task_mgr
        tasks.report_client.delete_allocation_for_instance(context, server, force=True)
        specification = objects.RequestSpec.get_by_instance_uuid(context, server)
        tasks._bury_in_cell0(context, specification, told, build_requests=[request])

    def _end_server(self, context: Any, cell: Any, server: str, told: Exception) -> None:
        tasks = self.compute_task_mgr
        specification = objects.RequestSpec.get_by_instance_uuid(context, server)
        with nova_context.target_cell(context, cell) as inside:
            now = objects.Instance.get_by_uuid(inside, server)
            if now.host or now.vm_state != vm_states.BUILDING:
                return
            tasks.report_client.delete_allocation_for_instance(inside, server, force=True)
            state = {"vm_state": vm_states.ERROR, "task_state": None}
            tasks._set_vm_state_and_notify(inside, server, "build_instances", state, told, specification)


def _cells(context: Any) -> list[Any]:
    """Where servers are; those of cell0 have no host and never will."""
    return [cell for cell in objects.CellMappingList.get_all(context) if not cell.is_cell0()]


def _homeless(context: Any) -> Iterator[tuple[Any, Any]]:
    """Servers that are being built and have no host, with their cells."""
    for cell in _cells(context):
        with nova_context.target_cell(context, cell) as inside:
            wanted = {"vm_state": vm_states.BUILDING, "deleted": False}
            for server in objects.InstanceList.get_by_filters(inside, wanted, expected_attrs=[]):
                if not server.host:
                    yield cell, server
