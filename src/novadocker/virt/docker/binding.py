# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""Ports are bound to the name of this machine's chassis, wherever in Nova they are bound.

`network_binding_host_id` covers two call sites; the others (unshelve, evacuate, resize, cold migration,
reschedule) write CONF.host through one private method of Nova's network API. Every one of them runs in the
nova-compute that will own the server, so mapping its own name to its chassis' name there is enough.
"""

import inspect
from collections.abc import Callable
from typing import Any

from novadocker.errors import NovaDockerError

_METHOD = "_update_port_binding_for_instance"
_SIGNATURE = ["context", "instance", "host"]


def redirect(network_api: Any, *, nova_host: str, binding_host: str) -> None:
    """Make a network API bind ports to `binding_host` where Nova asks for `nova_host`; any number of times.

    :raises: NovaDockerError when this Nova has the method no longer, or with other arguments.
    """
    if nova_host == binding_host:
        return
    original: Callable[..., Any] | None = getattr(network_api, _METHOD, None)
    if getattr(original, "redirects", None) == (nova_host, binding_host):
        return
    if original is None or list(inspect.signature(original).parameters)[:3] != _SIGNATURE:
        raise NovaDockerError(
            f"This Nova's network API has no {_METHOD}(context, instance, host, …).",
            facts="Without it, unshelved and moved servers would lose their ports.",
            hint="Use the nova-docker release for this Nova, or set [docker] binding_host to [DEFAULT] host.",
        )
    method = original

    def bind(context: Any, instance: Any, host: str, *args: Any, **kwargs: Any) -> Any:
        return method(context, instance, binding_host if host == nova_host else host, *args, **kwargs)

    bind.redirects = (nova_host, binding_host)  # type: ignore[attr-defined]
    setattr(network_api, _METHOD, bind)
