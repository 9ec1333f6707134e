# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""Serve WSGI applications of one OpenStack program with waitress: `wsgi.py HOST THREADS MODULE:NAME PORT …`.

The applications read `sys.argv` when they are imported, so it is emptied before (gunicorn's workers fail on
this).
"""

import importlib
import sys
from collections.abc import Callable, Iterable, Mapping
from types import ModuleType
from typing import Any

import waitress
from oslo_service import backend

from novadocker.programs import eventlet, garbage

Application = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]

# Neutron and Keystone build their policy enforcer at the first request that needs it, as a global that others
# see before it has rules: a second request meanwhile is refused with 403. So it is built before any request.
# (Nova and Placement build theirs under a lock or whole.) By the application's module: where its enforcers
# are, and what builds and returns them.
ENFORCERS: Mapping[str, tuple[str, Callable[[ModuleType], Iterable[Any]]]] = {
    "neutron.wsgi.api": ("neutron.policy", lambda policy: (policy.init(), policy._ENFORCER)[1:]),
    "keystone.wsgi.api": (
        "keystone.common.rbac_enforcer.enforcer",
        lambda enforcer: (enforcer.RBACEnforcer()._enforcer,),
    ),
    "nova.wsgi.osapi_compute": ("nova.policy", lambda policy: (policy.init(), policy._ENFORCER)[1:]),
    "placement.wsgi.api": ("placement.policy", lambda policy: (policy._ENFORCER,)),
}

# What else is settled once an application is loaded, by its module: a module of ours that imports upstream's.
SETTLED: Mapping[str, str] = {"neutron.wsgi.api": "novadocker.programs.events_to_nova"}


def prepare(application: str) -> None:
    """Build the policy enforcer of the application of this module, and have it read its rules once.

    Before each decision it would look whether a file of rules has come or changed, and go through all its
    rules: a tenth of a millisecond, some hundred times for a port. A changed file is read at the next start,
    as every other option is.
    """
    if application not in ENFORCERS:
        return
    module, build = ENFORCERS[application]
    for enforcer in build(importlib.import_module(module)):
        enforcer.load_rules()
        enforcer.use_conf = False


def load(target: str) -> Application:
    """Import the application MODULE:NAME."""
    module_name, _, attribute = target.partition(":")
    application: Application = getattr(importlib.import_module(module_name), attribute)
    prepare(module_name)
    if module_name in SETTLED:
        importlib.import_module(SETTLED[module_name]).settle()
    return application


def by_port(applications: Mapping[str, Application]) -> Application:
    """One application that hands each request to the one whose port it came to."""

    def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        return applications[environ["SERVER_PORT"]](environ, start_response)

    return application


def main() -> None:
    """Import the applications that the arguments name, and serve them until told to end."""
    host, threads, *served = sys.argv[1:]
    if not served[0].startswith("neutron."):
        eventlet.keep_out()
        backend.register_backend_default_hook(lambda: backend.BackendType.THREADING)
    sys.argv = [served[0].partition(":")[0]]
    applications = {port: load(target) for target, port in zip(served[::2], served[1::2], strict=True)}
    garbage.settle()
    waitress.serve(
        by_port(applications),
        listen=" ".join(f"{host}:{port}" for port in applications),
        threads=int(threads),
        ident=None,
        channel_timeout=120,
        connection_limit=500,
        max_request_body_size=1 << 40,
    )


if __name__ == "__main__":
    main()
