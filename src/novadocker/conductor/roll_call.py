# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""Whether a service has taken up all that was sent to it before: a ping through the same queue says so.

Queues and oslo.messaging's threads keep the order: what was sent before a ping was begun before its answer.
"""

from typing import Any

import oslo_messaging as messaging
from nova import rpc
from oslo_log import log as logging

LOG = logging.getLogger(__name__)

# Of an answer; who is slower is asked again at the next roll call.
_SECONDS = 20


def answered(context: Any, *, topic: str, host: str | None = None) -> bool:
    """Say whether the service of this topic, on this host, has begun with all that lay in its queue.

    Source: nova/baserpc.py, which answers in every service.

    :param host: None where requests are sent to whichever host of the topic is free.
    """
    target = messaging.Target(topic=topic, namespace="baseapi", version="1.0")
    client = rpc.ClientRouter(rpc.get_client(target)).client(context)
    try:
        client.prepare(server=host, timeout=_SECONDS).call(context, "ping", arg="roll call")
    except messaging.MessagingException as error:
        LOG.debug("%s on %s does not answer: %s", topic, host or "any host", error)
        return False
    return True
