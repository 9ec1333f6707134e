# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""What nova-conductor and nova-scheduler do, in one process.

Each of the two loads the whole of Nova and makes one service, which takes from a queue of its own and reports
under its own name. Here both are made, by the same functions; everything else the two programs have in
common.
"""

import sys

from nova import monkey_patch


def main() -> None:
    """Read the configuration that the arguments name, and work until told to end."""
    # Before anything else, as in both programs: libraries decide when they are imported.
    monkey_patch.patch(backend="threading")

    import nova.conf
    from nova import config, objects, service, version
    from nova.conductor import rpcapi as conductor
    from nova.scheduler import rpcapi as scheduler
    from oslo_log import log
    from oslo_reports import guru_meditation_report, opts

    from novadocker.programs import launcher

    conf = nova.conf.CONF
    config.parse_args(sys.argv)
    log.setup(conf, "nova")
    objects.register_all()
    opts.set_defaults(conf)
    objects.Service.enable_min_version_cache()
    guru_meditation_report.TextGuruMeditation.setup_autorun(version, conf=conf)
    # Nova's own, that ends requests which were lost with a killed one.
    service.SERVICE_MANAGERS["nova-conductor"] = "novadocker.conductor.manager.ConductorManager"
    services = launcher.OneProcess(conf, restart_method="mutate")
    # The conductor first: the scheduler's queue, which is the last, says that both are there.
    for binary, topic in (("nova-conductor", conductor.RPC_TOPIC), ("nova-scheduler", scheduler.RPC_TOPIC)):
        services.launch_service(service.Service.create(binary=binary, topic=topic))
    services.wait()


if __name__ == "__main__":
    main()
