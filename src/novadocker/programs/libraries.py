# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""What nearly all of OpenStack's programs load: loaded once, and shared by the processes copied from it.

Libraries only, and such as most services would load themselves: no program's own modules, since each of them
puts its options into the same global configuration.
"""

import gc
import importlib
import os
import sys
from pathlib import Path

from novadocker.programs import eventlet

# Each brings others along. A service that needs one less has it all the same; it costs nothing there.
NAMES = (
    "sqlalchemy.orm", "sqlalchemy.ext.declarative", "sqlalchemy.dialects.mysql", "MySQLdb", "oslo_db.api",
    "oslo_db.sqlalchemy.enginefacade", "oslo_messaging", "oslo_messaging._drivers.impl_rabbit", "kombu",
    "amqp", "oslo_policy.policy", "oslo_middleware", "oslo_versionedobjects.fields", "oslo_reports.opts",
    "oslo_reports.guru_meditation_report", "oslo_cache.core", "oslo_limit.limit",
    "oslo_concurrency.processutils", "oslo_privsep.priv_context", "oslo_service.service",
    "oslo_service.loopingcall", "oslo_service.periodic_task", "oslo_log.log", "oslo_utils.fileutils",
    "keystonemiddleware.auth_token", "keystoneauth1.service_token", "openstack.connection",
    "castellan.options", "castellan.key_manager.barbican_key_manager", "cursive.signature_utils",
    "webob.dec", "routes.middleware", "paste.deploy", "paste.urlmap", "jsonschema", "yaml",
    "osprofiler.opts", "osprofiler.sqlalchemy", "osprofiler.web", "osprofiler.initializer", "pyroute2",
    "ovs.db.idl", "ovsdbapp.backend.ovs_idl.connection", "os_traits", "os_resource_classes",
    "glanceclient.v2.client", "neutronclient.v2_0.client", "dogpile.cache", "jinja2", "prometheus_client",
    "stevedore.driver", "futurist.waiters", "microversion_parse", "netaddr", "psutil", "retrying",
    "setproctitle", "waitress",
)  # fmt: skip


def load() -> list[str]:
    """Load them all, and keep the search for garbage away from them: it would write to what is shared.

    :returns: of those that could not be loaded, why. They are loaded by who needs them, or missed there.
    """
    failed = []
    with eventlet.kept_out():
        from oslo_service import backend

        # As all programs choose by now; libraries decide when they are imported.
        backend.init_backend(backend.BackendType.THREADING)
        for name in NAMES:
            try:
                importlib.import_module(name)
            except ImportError as error:
                failed.append(f"{name}: {error}")
    _collect_plugins()
    gc.collect()
    gc.freeze()
    return failed


def installed() -> tuple[tuple[str, int], ...]:
    """What is installed beside us, and since when: another answer means that what is loaded is outdated."""
    here = Path(__file__).parents[2]
    return tuple(sorted((each.name, each.stat().st_mtime_ns) for each in here.glob("*.dist-info")))


def use_own_cache() -> None:
    """After a change of the user, keep the list of all plugins where XDG_CACHE_HOME says now."""
    module = sys.modules.get("stevedore._cache")
    if module is not None:
        module._c._dir = module._get_cache_dir()


def _collect_plugins() -> None:
    """The list of all installed plugins, which each program else reads from a file of its user's."""
    if "XDG_CACHE_HOME" in os.environ:
        from stevedore import _cache

        _cache.get_group_all("")
