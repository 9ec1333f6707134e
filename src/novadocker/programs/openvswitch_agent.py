# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""The end of neutron-openvswitch-agent, where its work has ended by an error.

The work is done beside the main thread, in which os-ken answers the switch, and an error ends it alone: the
process goes on and does nothing more. One way there is a switch that ends while the agent begins. A process
that ends is started again.
"""

import logging
import os
from typing import Any

LOG = logging.getLogger(__name__)

PROGRAM = "neutron-openvswitch-agent"


def install() -> None:
    """End the process with the agent's work, if that did not end as it was told to."""
    from neutron.plugins.ml2.drivers.openvswitch.agent import ovs_neutron_agent as agent

    theirs = agent.main

    def main(*arguments: Any, **named: Any) -> None:
        try:
            theirs(*arguments, **named)
        except BaseException:  # SystemExit above all: in a thread it ends nothing else
            LOG.exception("The agent's work has ended; its process ends, too.")
            logging.shutdown()
            os._exit(1)

    agent.main = main
