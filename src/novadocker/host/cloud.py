# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""The cloud as it is to be: the configuration, what is remembered, and what the machine has, in one value."""

import sys
from dataclasses import replace
from pathlib import Path

from novadocker import files
from novadocker.host import capacity, config, kvm, machine, ports, secrets, state
from novadocker.host.services.model import Cloud


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
    memory = state.recall(layout)
    facts = machine.look(layout.root)
    memory.hostname = memory.hostname or facts.hostname
    memory.ports = ports.choose(chosen.ports, remembered=memory.ports)
    memory.capacity = memory.capacity or capacity.split(facts).to_dict()
    if memory.kvm is None:
        memory.kvm = kvm.usable()
    if memory.missing_before is None:
        memory.missing_before = [name for name in state.TOUCHED if not Path(name).exists()]
    memory.forwarding_before = (
        memory.forwarding_before or Path("/proc/sys/net/ipv4/ip_forward").read_text().strip()
    )
    state.remember(layout, memory)
    return _cloud(chosen, memory, facts, secrets.load_or_make(layout.secrets_file))


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
