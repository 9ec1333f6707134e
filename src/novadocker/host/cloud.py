# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""The cloud as it is to be: the configuration, what is remembered, and what the machine has, in one value."""

import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from novadocker import files
from novadocker.errors import NovaDockerError
from novadocker.host import capacity, config, kvm, machine, ports, secrets, state
from novadocker.host.services.model import Cloud

# Its catalogue, networks and bridges are made of these.
FIXED = ("region", "external_cidr", "private_cidr", "integration_bridge", "external_bridge")


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
    memory, facts = _decided(chosen, layout)
    if memory.missing_before is None:
        memory.missing_before = [name for name in state.TOUCHED if not Path(name).exists()]
    memory.forwarding_before = (
        memory.forwarding_before or Path("/proc/sys/net/ipv4/ip_forward").read_text().strip()
    )
    state.remember(layout, memory)
    return _cloud(chosen, memory, facts, secrets.load_or_make(layout.secrets_file))


def foresee(chosen: config.HostConfig) -> Cloud:
    """The cloud as `describe` would decide it; nothing is written, and passwords that are to be are blank."""
    config.check(chosen)
    layout = state.Layout.of(chosen)
    state.refuse_foreign(layout)
    memory, facts = _decided(chosen, layout)
    known = layout.secrets_file
    return _cloud(chosen, memory, facts, secrets.load(known) if known.exists() else secrets.blank())


def _decided(chosen: config.HostConfig, layout: state.Layout) -> tuple[state.Memory, machine.Machine]:
    memory = state.recall(layout)
    # A folder that is not there yet will lie in the file system of what is above it.
    there = next(path for path in (layout.root, *layout.root.parents) if path.exists())
    facts = machine.look(there)
    memory.hostname = memory.hostname or facts.hostname
    fixed = {name: str(getattr(chosen, name)) for name in FIXED}
    _refuse_changes(memory.fixed, fixed)
    memory.fixed = fixed
    memory.ports = ports.choose(chosen.ports, remembered=memory.ports, wanted=chosen.wanted_ports)
    memory.capacity = memory.capacity or capacity.split(facts).to_dict()
    if memory.kvm is None:
        memory.kvm = kvm.usable()
    return memory, facts


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
    return Cloud(
        config=replace(chosen, ports=memory.ports),
        layout=state.Layout.of(chosen),
        secrets=known,
        machine=facts,
        split=capacity.Split.from_dict(memory.capacity),
        hostname=memory.hostname,
        kvm=bool(memory.kvm),
        venv=Path(sys.prefix),
    )
