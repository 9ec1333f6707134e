# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""What of a host is in the way of a docker service, and what to do about each."""

from collections.abc import Iterator
from pathlib import Path

from novadocker.host.overlay import model
from novadocker.host.overlay.look import Seen
from novadocker.host.overlay.model import Problem, Wanted

_SECTIONS = ("placement", "neutron", "glance", "service_user")


def problems(wanted: Wanted, seen: Seen, *, host: str, backend: str, program_found: bool) -> list[Problem]:
    """Name them all."""
    found = [*_nova(wanted, seen), *_names(wanted, seen, host=host), *_identity(wanted, seen)]
    if not program_found:
        found.append(
            Problem(
                what="There is no nova-compute here: neither one that runs nor one on the PATH.",
                do="Say where it is: --nova-compute PATH.",
                stops=True,
            )
        )
    return [*found, *_network(wanted, seen, backend=backend), *_engine(wanted, seen)]


def beside_libvirt(seen: Seen) -> bool:
    """Whether another hypervisor shares this machine: one that runs, or that the configuration names."""
    driver = seen.libvirt.get("compute_driver")
    return seen.runs_libvirt or bool(driver and "novadocker" not in driver)


def moved_id(wanted: Wanted, seen: Seen) -> tuple[Path, Path] | None:
    """From where to where the first service's compute_id must go; None where it is in nobody's way.

    nova-compute looks beside each --config-file and in state_path (nova/virt/node.py).
    """
    there = wanted.nova_conf.parent / "compute_id"
    state = seen.libvirt.get("state_path")
    return (there, Path(state) / "compute_id") if str(there) in seen.ids and state.startswith("/") else None


def _nova(wanted: Wanted, seen: Seen) -> Iterator[Problem]:
    if not seen.nova.files:
        yield Problem(
            what=f"There is no {wanted.nova_conf}, the file of a compute host that the overlay is laid over.",
            do="Install nova-compute's nova.conf as on your other hosts, or name it: --nova-conf PATH.",
            stops=True,
        )
        return
    if not seen.nova.get("transport_url"):
        yield Problem(
            what=f"{wanted.nova_conf} names no message bus ([DEFAULT] transport_url).",
            do="Take it from another compute host's; services would look for RabbitMQ on localhost.",
            stops=True,
        )
    for section in _SECTIONS:
        if not seen.nova.has(section):
            yield Problem(
                what=f"{wanted.nova_conf} has no [{section}].",
                do="Compare it with the nova.conf of a compute host that works.",
                stops=section in ("placement", "neutron"),
            )


def _names(wanted: Wanted, seen: Seen, *, host: str) -> Iterator[Problem]:
    if wanted.host and wanted.host != host:
        yield Problem(
            what=f"The docker service of this host is {host} already, and Nova refuses renamed hosts.",
            do=f"Leave --host out; or undo that service first (README.txt), and remove {model.OVERLAY}.",
            stops=True,
        )
    if host in (seen.nova.get("host"), seen.libvirt.get("host")) or (
        beside_libvirt(seen) and not seen.libvirt.get("host") and host == seen.hostname
    ):
        yield Problem(
            what=f"Both services of this host would be called {host}.",
            do="Choose another --host, as NAME-docker: a service's host is its identity.",
            stops=True,
        )


def _identity(wanted: Wanted, seen: Seen) -> Iterator[Problem]:
    there = wanted.nova_conf.parent / "compute_id"
    if str(there) not in seen.ids:
        return
    place = moved_id(wanted, seen)
    yield Problem(
        what=f"{there} is there: every service with a --config-file in {there.parent} takes that "
        "identity for its own, and the second refuses to start ('Possible rename detected').",
        do=f"A step of README.txt moves it to {place[1].parent}, the first service's state_path."
        if place
        else f"Move it into the first service's state_path; {wanted.nova_conf} names none, so set one first.",
        stops=place is None,
    )


def _network(wanted: Wanted, seen: Seen, *, backend: str) -> Iterator[Problem]:
    agents = set(seen.agents)
    if {"ovn-controller", "neutron-openvswitch-agent"} <= agents:
        yield Problem(
            what="ovn-controller and neutron-openvswitch-agent both run; each deletes the other's flows.",
            do="Stop the one your cloud does not use, before anything else.",
            stops=True,
        )
    if seen.no_switch:
        yield Problem(
            what=f"Open vSwitch was not asked: {seen.no_switch}.",
            do="Run this on the compute host as root, or name its database: --ovsdb-socket PATH.",
        )
    elif backend == "ovn" and not seen.external_ids.get("ovn-remote"):
        yield Problem(
            what="This host is no OVN chassis: Open vSwitch's external_ids name no ovn-remote.",
            do="Make it one, as your other compute hosts are; or say --backend ovs, with Neutron's agent.",
            stops=True,
        )
    name = seen.external_ids.get("hostname", "")
    if backend == "ovn" and wanted.binding_host and name and wanted.binding_host != name:
        yield Problem(
            what=f"The chassis calls itself {name}, not {wanted.binding_host}: its ports would not be bound.",
            do="Leave --binding-host out.",
            stops=True,
        )


def _engine(wanted: Wanted, seen: Seen) -> Iterator[Problem]:
    if wanted.docker_socket is None:
        return
    if seen.no_engine:
        yield Problem(
            what=f"dockerd was not asked: {seen.no_engine}.",
            do="Start it, or look at --docker-socket; what it cannot hold a container to is not known.",
        )
        return
    facts = seen.engine
    options = " ".join(facts.get("SecurityOptions") or ())
    if "name=userns" not in options:
        yield Problem(
            what="This dockerd has no userns-remap: root in a container is root's uid on this host.",
            do='Set "userns-remap": "default" in its daemon.json (its containers and images are out of sight '
            "then), or leave --docker-socket out.",
        )
    if facts.get("Driver") != "btrfs":
        yield Problem(
            what=f"Its storage driver is {facts.get('Driver')}: a container's disk is held to no size, "
            "unless that is overlay2 on an xfs mounted with pquota.",
            do="Give it such storage, or leave --docker-socket out.",
        )
    if facts.get("containers"):
        yield Problem(
            what=f"It has {facts['containers']} containers already, whose memory and disk the cloud "
            "takes for its own.",
            do="Keep back what they need with --memory and --disk, or leave --docker-socket out.",
        )
