# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""Hear of a port that changed while its server runs.

A VM learns it when it renews its lease, and Nova tells its drivers nothing: on Neutron's network-changed
event the manager only asks Neutron again and keeps the answer (nova/compute/manager.py,
external_instance_event), as it does in its periodic repair. So we listen where it asks.
"""

import inspect
from collections.abc import Callable
from typing import Any

from novadocker.errors import NovaDockerError

_METHOD = "get_instance_nw_info"
_SIGNATURE = ["context", "instance"]
# How the two callers differ from the many others, which act on the server themselves.
_WHEN = ("refresh_vif_id", "force_refresh")


def listen(network_api: Any, *, changed: Callable[[Any, Any, Any], None]) -> None:
    """Call `changed(context, instance, network_info)` after Nova has noted a change; any number of times.

    :raises: NovaDockerError when this Nova has the method no longer, or with other arguments.
    """
    found: Callable[..., Any] | None = getattr(network_api, _METHOD, None)
    found = getattr(found, "listened_to", found)
    if found is None or list(inspect.signature(found).parameters)[:2] != _SIGNATURE:
        raise NovaDockerError(
            f"This Nova's network API has no {_METHOD}(context, instance, …).",
            facts="Without it, running servers would not follow changes of their ports.",
            hint="Use the nova-docker release for this Nova.",
        )
    method = found

    def ask(context: Any, instance: Any, *args: Any, **kwargs: Any) -> Any:
        answer = method(context, instance, *args, **kwargs)
        if any(kwargs.get(name) for name in _WHEN):
            changed(context, instance, answer)
        return answer

    ask.listened_to = method  # type: ignore[attr-defined]
    setattr(network_api, _METHOD, ask)
