# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""What neutron-periodic-workers and neutron-ovn-maintenance-worker do, in one process.

Each of the two loads the whole of Neutron, starts those of its plugins' workers that are its part, and waits.
Here all of them are started: of the same plugins, by the same functions.
"""

from oslo_service import backend

# As Neutron's programs do; libraries decide when they are imported.
backend.init_backend(backend.BackendType.THREADING)

from neutron import manager, server, service  # noqa: E402
from neutron.api import extensions  # noqa: E402
from neutron_lib.api import attributes  # noqa: E402
from neutron_lib.callbacks import events, registry, resources  # noqa: E402
from oslo_config import cfg  # noqa: E402

from novadocker.programs import launcher  # noqa: E402


def main() -> None:
    """Read the configuration that the arguments name, and work until told to end."""
    server.boot_server(_work)


def _work() -> None:
    manager.init()
    extensions.PluginAwareExtensionManager.get_instance().extend_resources("2.0", attributes.RESOURCES)
    workers = launcher.OneProcess(cfg.CONF, restart_method="mutate")
    # The maintenance first: it connects to OVN's databases, which others may ask then.
    workers.launch_service(service._get_ovn_maintenance_worker())
    for worker in service._prepare_periodic_workers(service._get_plugins_workers()):
        workers.launch_service(worker)
    registry.publish(resources.PROCESS, events.AFTER_SPAWN, None)
    workers.wait()


if __name__ == "__main__":
    main()
