# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""What servers' traffic needs of the host to leave it: forwarding, one masquerade rule, two accept rules.

Every rule carries the cloud's name as its comment, so that `down` finds exactly ours. They go to iptables' own
chains because an accept elsewhere does not overrule a policy of DROP there (dockerd sets one).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from novadocker import run
from novadocker.host.config import HostConfig

FORWARDING = Path("/proc/sys/net/ipv4/ip_forward")


@dataclass(frozen=True)
class Rule:
    """One rule of iptables: where it goes and what it says."""

    table: str
    chain: str
    words: tuple[str, ...]


def rules(config: HostConfig) -> tuple[Rule, ...]:
    """The rules a cloud needs."""
    mark = ("-m", "comment", "--comment", f"nova-docker:{config.name}")
    bridge, network = config.external_bridge, config.external_cidr
    return (
        Rule(
            "nat",
            "POSTROUTING",
            ("-s", network, "!", "-d", network, "!", "-o", bridge, *mark, "-j", "MASQUERADE"),
        ),
        Rule("filter", "FORWARD", ("-i", bridge, "-s", network, *mark, "-j", "ACCEPT")),
        Rule("filter", "FORWARD", ("-o", bridge, "-d", network, *mark, "-j", "ACCEPT")),
    )


def open_way(config: HostConfig) -> bool:
    """Put the missing rules in, first in their chains, and turn forwarding on; say whether anything changed."""
    changed = False
    for program in _programs():
        for rule in rules(config):
            if (
                run.run([program, "-w", "-t", rule.table, "-C", rule.chain, *rule.words], check=False).code
                != 0
            ):
                run.run([program, "-w", "-t", rule.table, "-I", rule.chain, "1", *rule.words])
                changed = True
    if FORWARDING.read_text().strip() != "1":
        FORWARDING.write_text("1\n")
        changed = True
    return changed


def is_open(config: HostConfig) -> bool:
    """Whether the rules and forwarding are in place."""
    return FORWARDING.read_text().strip() == "1" and all(
        run.run([program, "-w", "-t", rule.table, "-C", rule.chain, *rule.words], check=False).code == 0
        for program in _programs()
        for rule in rules(config)
    )


def close_way(config: HostConfig, *, forwarding_before: str) -> bool:
    """Take our rules out, and turn forwarding off if it was off before us; say whether anything changed."""
    changed = False
    for program in _programs():
        for rule in rules(config):
            # As often as it is there: two runs at once may have put it in twice.
            while (
                run.run([program, "-w", "-t", rule.table, "-D", rule.chain, *rule.words], check=False).code
                == 0
            ):
                changed = True
    if forwarding_before == "0" and FORWARDING.read_text().strip() == "1":
        FORWARDING.write_text("0\n")
        changed = True
    return changed


def _programs() -> Iterable[str]:
    """iptables as the machine's other programs use it, and its older kernel interface where that is in use too."""
    yield "iptables"
    legacy = Path("/proc/net/ip_tables_names")
    shown = run.run(["iptables", "--version"], check=False).out
    if "legacy" not in shown and legacy.exists() and "filter" in legacy.read_text().split():
        yield "iptables-legacy"
