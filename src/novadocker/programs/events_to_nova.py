# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""How soon Neutron tells Nova of a port, and of which changes.

Neutron sends what it has, and then nothing for `send_events_interval`: whole seconds, one at least. The first
of a server's events is that Nova itself has bound the port, so that a VM waited out that second for the next
one: that its port works. And for the first, Nova asked seven questions whose answers it had just read.
"""

from typing import Any

from neutron.notifiers import nova
from neutron_lib.callbacks import events, registry, resources

# Seconds. Of many servers' events at once, those that come meanwhile still go together.
INTERVAL = 0.2
# What a service has that acts in its own name, and not in that of a user whose request it serves.
_SERVICE = "service"


def settle() -> None:
    """Tell Nova soon, and not of its own doings. Call when Neutron is loaded."""
    notifier = nova.Notifier.get_instance()
    notifier.batch_notifier.batch_interval = INTERVAL
    theirs = notifier._send_nova_notification

    def send(resource: str, event: str, trigger: Any, payload: Any = None) -> None:
        if resource == resources.PORT and _SERVICE in payload.context.roles:
            return
        theirs(resource, event, trigger, payload=payload)

    for resource in (resources.PORT, resources.FLOATING_IP):
        registry.unsubscribe(theirs, resource, events.BEFORE_RESPONSE)
        registry.subscribe(send, resource, events.BEFORE_RESPONSE)
