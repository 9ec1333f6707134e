# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""The cloud as it is to be: the configuration, what is remembered, and what the machine has, in one value."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from novadocker import files
from novadocker.errors import NovaDockerError
from novadocker.host import (
    capacity,
    clouds,
    config,
    kvm,
    links,
    machine,
    networks,
    ports,
    secrets,
    state,
)
from novadocker.host.services.model import Cloud
from novadocker.host.supervise import choice

# Its catalogue, networks and bridges are made of these.
FIXED = networks.FIXED


def describe(chosen: config.HostConfig) -> Cloud:
    """Decide what is undecided, remember it, and return the cloud.

    What was decided at the first `up` (host name, ports, the split of the machine) holds from then on: Nova
    refuses a renamed host, and a capacity that follows the free disk would never rest.
    """
    config.check(chosen)
    layout = state.Layout.of(chosen)
    state.refuse_foreign(layout)
    files.make_directory(layout.root)
    files.make_directory(layout.data)
    with clouds.alone():
        memory, facts = _decided(chosen, layout)
        clouds.enter(chosen)
        _note_what_is_put_back(memory, clouds.others(chosen.name))
        state.remember(layout, memory)
    return _cloud(chosen, memory, facts, secrets.load_or_make(layout.secrets_file))


def _note_what_is_put_back(memory: state.Memory, others: Sequence[clouds.Other]) -> None:
    if memory.missing_before is None:
        missing = {name for name in state.TOUCHED if not Path(name).exists()}
        # What another cloud brought stays until the last of them goes.
        missing |= {name for other in others for name in other.memory.missing_before or []}
        memory.missing_before = [name for name in state.TOUCHED if name in missing]
    if not memory.forwarding_before:
        inherited = {other.memory.forwarding_before for other in others} - {""}
        now = Path("/proc/sys/net/ipv4/ip_forward").read_text().strip()
        memory.forwarding_before = "0" if "0" in inherited else now


def foresee(chosen: config.HostConfig, *, memory: state.Memory | None = None) -> Cloud:
    """The cloud as `describe` would decide it; nothing is written, and passwords that are to be are blank.

    :param memory: what it would remember, in place of what it does; it gets what is decided.
    """
    config.check(chosen)
    layout = state.Layout.of(chosen)
    state.refuse_foreign(layout)
    memory, facts = _decided(chosen, layout, memory)
    known = layout.secrets_file
    return _cloud(chosen, memory, facts, secrets.load(known) if known.exists() else secrets.blank())


def _decided(
    chosen: config.HostConfig, layout: state.Layout, memory: state.Memory | None = None
) -> tuple[state.Memory, machine.Machine]:
    memory = memory or state.recall(layout)
    # A folder that is not there yet will lie in the file system of what is above it.
    there = next(path for path in (layout.root, *layout.root.parents) if path.exists())
    facts, others = machine.look(there), clouds.others(chosen.name)
    memory.hostname = memory.hostname or _hostname(facts.hostname, chosen.name)
    present = links.present()
    resolved = networks.resolved(
        chosen, memory.fixed, present=present, others=[other.memory.fixed for other in others]
    )
    if not memory.capacity:
        # Two daemons cannot share the kernel's datapath: where somebody has it, ours is the other one.
        free = facts.kernel_datapath and networks.KERNEL_DATAPATH not in present.kinds
        memory.datapath = "system" if free else "netdev"
    fixed = {name: str(getattr(resolved, name)) for name in FIXED}
    _refuse_changes(memory.fixed, fixed)
    memory.fixed = fixed
    memory.ports = ports.choose(
        chosen.ports,
        remembered=memory.ports,
        wanted=chosen.wanted_ports,
        ours=ports.listened_on(choice.processes(chosen.name)),
    )
    percent, count = chosen.capacity_percent, len(others) + 1
    if not memory.capacity:
        memory.capacity = capacity.split(facts, percent=percent, clouds=count).to_dict()
    elif memory.percent != percent:
        before = capacity.Split.from_dict(memory.capacity)
        memory.capacity = capacity.resplit(before, facts, percent=percent, clouds=count).to_dict()
    memory.percent = percent
    if memory.kvm is None:
        memory.kvm = kvm.usable()
    return memory, facts


def _hostname(machines: str, name: str) -> str:
    """The chassis' name: the machine's own; of a cloud with another name than the usual, with that one."""
    if name == config.DEFAULT_NAME:
        return machines
    first, dot, rest = machines.partition(".")
    # HOST_NAME_MAX is 64; libvirt's namespace bears it.
    return f"{first[: 63 - len(name)]}-{name}{dot}{rest}"[:64]


def promised_twice(described: Cloud) -> list[str]:
    """What the clouds that are up promise together beyond what the machine has; empty if nothing."""
    splits = {described.config.name: described.split}
    splits |= {other.name: other.split for other in clouds.others(described.config.name)}
    if len(splits) == 1:
        return []
    offers = {name: split.offers() for name, split in splits.items()}
    return capacity.overbooked(
        {resource: [each[resource] for each in offers.values()] for resource in described.machine.resources},
        described.machine.resources,
    )


def _refuse_changes(before: Mapping[str, str], now: Mapping[str, str]) -> None:
    changed = [
        f"{name}: {before[name]} then, {now[name]} now"
        for name in now
        if before.get(name, now[name]) != now[name]
    ]
    if changed:
        raise NovaDockerError(
            "This cannot be changed in a cloud that exists: its databases and bridges hold it.",
            facts="\n".join(changed),
            hint="Put it back; or take the cloud away with `nova-docker down`, and begin anew.",
        )


def recall(chosen: config.HostConfig) -> Cloud | None:
    """The cloud as an earlier `describe` decided it; None if there was none. Changes nothing."""
    layout = state.Layout.of(chosen)
    memory = state.recall(layout)
    if not memory.capacity or not layout.secrets_file.exists():
        return None
    return _cloud(chosen, memory, machine.look(layout.root), secrets.load(layout.secrets_file))


def _cloud(
    chosen: config.HostConfig, memory: state.Memory, facts: machine.Machine, known: secrets.Secrets
) -> Cloud:
    if memory.datapath:
        facts = replace(facts, kernel_datapath=memory.datapath == "system")
    return Cloud(
        config=replace(networks.remembered(chosen, memory.fixed), ports=memory.ports),
        layout=state.Layout.of(chosen),
        secrets=known,
        machine=facts,
        split=capacity.Split.from_dict(memory.capacity),
        hostname=memory.hostname,
        kvm=bool(memory.kvm),
        venv=Path(sys.prefix),
    )
