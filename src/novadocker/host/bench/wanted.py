# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""What a run of the instrument is to measure."""

from dataclasses import dataclass

USUAL = ("weight", "containers", "vms", "docker", "virsh", "nothing")
# These take many minutes, and the last the memory of a second cloud: only where they are asked for.
PARTS = (*USUAL, "soak", "idle", "cycle")
QUICK = ("containers", "docker")
# For which a server has to be there before.
BESIDE_A_FIRST = frozenset((*USUAL, "idle")) - {"weight"}


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What to measure.

    :ivar servers: how many are booted one after the other; of VMs, `vms`.
    :ivar rounds: how often those at once come and go; VMs once.
    :ivar idle_seconds: how long the idle cloud is looked at.
    :ivar soak_servers: how many come and go in the part `soak`, `soak_at_once` at a time.
    :ivar idle_servers: how many there are in the part `idle`, of which `at_once` are booted at a time.
    """

    parts: tuple[str, ...] = USUAL
    servers: int = 20
    at_once: int = 10
    rounds: int = 3
    vms: int = 3
    idle_seconds: float = 10.0
    soak_servers: int = 500
    soak_at_once: int = 4
    idle_servers: int = 100

    @property
    def most(self) -> int:
        """How many containers there are at most at the same time, beside the first."""
        by_part = {
            "containers": self.at_once,
            "docker": self.at_once,
            "soak": self.soak_at_once,
            "idle": self.idle_servers,
        }
        return max((count for part, count in by_part.items() if part in self.parts), default=0)
