# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""What nova-compute reads from Placement whenever it claims resources for a server.

Nova 34 reads the allocations of every server on the host, with a request for each, before it asks its driver
for the inventory: the fiftieth of fifty servers waits for fifty requests. They are of use in two cases, in
which they are read here, too: at the start, where a driver may reshape its providers, and where PCI devices
are tracked in Placement (nova/compute/resource_tracker.py, _update_to_placement).
"""

import inspect
import logging
import threading
from typing import Any

from novadocker.programs import eventlet

LOG = logging.getLogger(__name__)

PROGRAM = "nova-compute"


def install() -> None:
    """Read them no more where nobody looks at them. A Nova that has other methods for it is left as it is."""
    # Nova refuses to start where it was loaded before.
    with eventlet.kept_out():
        from nova.compute import resource_tracker
        from nova.scheduler.client import report

    tracker, client = resource_tracker.ResourceTracker, report.SchedulerReportClient
    update, read = tracker._update_to_placement, client.get_allocations_for_provider_tree
    if list(inspect.signature(update).parameters) != ["self", "context", "compute_node", "startup"]:
        LOG.warning(
            "This Nova updates Placement in a way that is not known: a claim costs what it does there."
        )
        return
    at = threading.local()

    def update_to_placement(self: Any, context: Any, compute_node: Any, startup: bool) -> None:
        at.a_claim = not startup and not resource_tracker.CONF.pci.report_in_placement
        try:
            update(self, context, compute_node, startup)
        finally:
            at.a_claim = False

    def get_allocations_for_provider_tree(self: Any, context: Any, nodename: str) -> dict[str, Any]:
        return {} if getattr(at, "a_claim", False) else read(self, context, nodename)

    tracker._update_to_placement = update_to_placement
    client.get_allocations_for_provider_tree = get_allocations_for_provider_tree
