# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""Where a user would ask for a network agent of the docker service's own, and why there is none (pure)."""

from collections.abc import Iterator, Mapping

WHY = (
    "one agent per machine: a second one on the same bridges deletes the first one's flows and hands out the "
    "same VLAN tags. The docker service's ports are bound to the machine's own agent and need no other; see "
    "docs/explanation/one-agent.md"
)
_DOCKER = "nova-docker/nova-docker.conf"


def asked_by_key(key: str) -> bool:
    """Whether a key that the configuration does not have, as `network.docker_agent`, asks for an agent."""
    return key.startswith("network.") and "agent" in key


def asked_by_options(options: Mapping[str, Mapping[str, Mapping[str, str]]]) -> Iterator[str]:
    """The options that would give an agent another host name, or ports to a host without one.

    The article's way is a file of an agent's, as `neutron/ovs-docker.conf`, with a `host` of its own.
    """
    for file, sections in options.items():
        of_network = file.startswith("neutron") or "ovs" in file
        if of_network and "host" in sections.get("DEFAULT", {}):
            yield f"options.{file}.DEFAULT.host"
    if "binding_host" in options.get(_DOCKER, {}).get("docker", {}):
        yield f"options.{_DOCKER}.docker.binding_host"
