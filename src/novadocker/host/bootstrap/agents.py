# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""The chassis and its agent, as Neutron knows them: only then does it bind ports."""

from novadocker import poll, run
from novadocker.host.bootstrap import session
from novadocker.host.services.model import Cloud

_WANTED = {"OVN Controller Gateway agent", "OVN Neutron agent"}


def wait_until_alive(cloud: Cloud, *, seconds: float = 60) -> bool:
    """Wait until Neutron lists the machine's chassis and agent as alive; changes nothing.

    Neutron's list is a copy made from the southbound database's changes; listing the agents makes each answer
    anew, so that one that is dead is seen to be.

    :raises novadocker.poll.NotInTime: with the agents that are missing.
    """
    # Each chassis answers this at once by a change of its row, which Neutron notices and copies with all that
    # is in it by then: the bridge that its agent wrote there after the row was made, too.
    run.run(
        [
            "ovn-nbctl",
            f"--db=unix:{cloud.layout.ovn_nb_socket}",
            "--timeout=30",
            "--wait=hv",
            "sync",
        ],
        hint=f"See {cloud.layout.logs}/ovn-controller.log and ovn-northd.log.",
    )
    with session.administrator(cloud) as connection:

        def missing() -> str | None:
            alive = {
                agent.agent_type
                for agent in connection.network.agents()
                if agent.host == cloud.hostname and agent.is_alive
            }
            late = _WANTED - alive
            return f"{' and '.join(sorted(late))} not alive on {cloud.hostname}" if late else None

        poll.until(
            missing,
            why="Neutron's view of the chassis",
            seconds=seconds,
            hint=f"See {cloud.layout.logs}/ovn-controller.log and neutron-agent.log.",
        )
    return False
