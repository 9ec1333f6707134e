# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""The machine's agents, as Neutron knows them: only then does it bind ports."""

from novadocker import poll, run
from novadocker.host.bootstrap import session
from novadocker.host.services import backends
from novadocker.host.services.model import Cloud


def wait_until_alive(cloud: Cloud, *, seconds: float = 120) -> bool:
    """Wait until Neutron lists the machine's agents as alive; changes nothing.

    :raises novadocker.poll.NotInTime: with the agents that are missing.
    """
    if cloud.config.network_backend == "ovn":
        _answer_anew(cloud)
    wanted = backends.of(cloud).agents
    with session.administrator(cloud) as connection:

        def missing() -> str | None:
            alive = {
                agent.agent_type
                for agent in connection.network.agents()
                if agent.host == cloud.hostname and agent.is_alive
            }
            late = wanted - alive
            return f"{' and '.join(sorted(late))} not alive on {cloud.hostname}" if late else None

        poll.until(
            missing,
            why="Neutron's view of the machine's agents",
            seconds=seconds,
            hint="See "
            + " and ".join(f"{cloud.layout.logs}/{name}.log" for name in backends.of(cloud).agents_need),
        )
    return False


def _answer_anew(cloud: Cloud) -> None:
    """Let OVN's chassis answer.

    Neutron's list is a copy made from the southbound database's changes. Each chassis answers this at once by
    a change of its row, which Neutron notices and copies with all that is in it by then: the bridge that its
    agent wrote there after the row was made, too. One that is dead is seen to be.
    """
    run.run(
        ["ovn-nbctl", f"--db=unix:{cloud.layout.ovn_nb_socket}", "--timeout=30", "--wait=hv", "sync"],
        hint=f"See {cloud.layout.logs}/ovn-controller.log and ovn-northd.log.",
    )
