# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""Serve one WSGI application of OpenStack with waitress: `wsgi.py MODULE:NAME HOST PORT THREADS`.

The applications read `sys.argv` when they are imported, so it is emptied before (gunicorn's workers fail on
this).
"""

import importlib
import sys
from collections.abc import Callable, Iterable, Mapping
from types import ModuleType
from typing import Any

import waitress

from novadocker.host import garbage

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


def main() -> None:
    """Import the application named by the first argument and serve it until told to end."""
    target, host, port, threads = sys.argv[1:5]
    module_name, _, attribute = target.partition(":")
    sys.argv = [module_name]
    application = getattr(importlib.import_module(module_name), attribute)
    prepare(module_name)
    garbage.settle()
    waitress.serve(
        application,
        host=host,
        port=int(port),
        threads=int(threads),
        ident=None,
        channel_timeout=120,
        connection_limit=500,
        max_request_body_size=1 << 40,
    )


if __name__ == "__main__":
    main()
