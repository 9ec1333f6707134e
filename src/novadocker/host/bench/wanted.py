# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""What a run of the instrument is to measure."""

from dataclasses import dataclass

USUAL = ("weight", "containers", "vms", "docker", "virsh", "nothing")
# Takes minutes, and the memory of a second cloud: only where it is asked for.
PARTS = (*USUAL, "cycle")
QUICK = ("containers", "docker")
# For which a server has to be there before.
BESIDE_A_FIRST = frozenset(USUAL) - {"weight"}


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What to measure.

    :ivar servers: how many are booted one after the other; of VMs, `vms`.
    :ivar idle_seconds: how long the idle cloud is looked at.
    """

    parts: tuple[str, ...] = USUAL
    servers: int = 20
    at_once: int = 10
    vms: int = 3
    idle_seconds: float = 10.0

    @property
    def most(self) -> int:
        """How many containers there are at most at the same time, beside the first."""
        by_part = {"containers": self.at_once, "docker": self.at_once}
        return max((count for part, count in by_part.items() if part in self.parts), default=0)
