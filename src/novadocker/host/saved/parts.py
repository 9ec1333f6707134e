# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""Which files of a cloud's data travel, and whose they are where they arrive; all pure.

What is not here is made anew: RabbitMQ's queues, OVN's southbound database and the switch's (they describe
the machine), dockerd's storage (of the size of this machine's share; images come out of Glance), libvirt's.
"""

import fnmatch
import re
from dataclasses import dataclass
from pathlib import PurePosixPath

_NAME = re.compile(r"[A-Za-z0-9_@#$+-][A-Za-z0-9_@#$+.-]*")


@dataclass(frozen=True, kw_only=True)
class Part:
    """A folder below the cloud's data, and which of its files travel.

    :ivar depth: folders within it that files may lie in, one in another.
    :ivar only: the files' names; empty for all but those that match `never`.
    :ivar of_service: whether the services' user owns it, instead of root.
    :ivar renewed: whether it holds what a loaded cloud gets anew, unless it is to keep its secrets.
    :ivar frozen: whether its files never change once they are there.
    """

    folder: str
    depth: int = 0
    only: tuple[str, ...] = ()
    never: tuple[str, ...] = ()
    of_service: bool = False
    renewed: bool = False
    frozen: bool = False
    folder_mode: int = 0o755
    file_mode: int = 0o600

    def has(self, path: str) -> bool:
        """Whether the file, named from the cloud's data on, is of this part."""
        steps = PurePosixPath(path).parts
        above = PurePosixPath(self.folder).parts
        inner = steps[len(above) :]
        if steps[: len(above)] != above or not 1 <= len(inner) <= self.depth + 1:
            return False
        if self.only:
            return inner[-1] in self.only
        return not any(fnmatch.fnmatchcase(inner[-1], pattern) for pattern in self.never)


PARTS = (
    Part(
        folder="mariadb", depth=1, of_service=True, folder_mode=0o750, file_mode=0o660,
        never=("ibtmp1", "ib_buffer_pool", "*.pid", "*.err", "ddl_recovery*", "ddl-recovery*"),
    ),
    Part(folder="ovn", only=("ovnnb.db",), of_service=True, file_mode=0o640),
    Part(folder="glance/images", of_service=True, frozen=True, file_mode=0o640),
    Part(folder="keystone/fernet-keys", of_service=True, renewed=True, folder_mode=0o700),
    Part(folder="keystone/credential-keys", of_service=True, folder_mode=0o700),
    Part(folder="schemas", file_mode=0o644),
    Part(folder="keys", renewed=True, folder_mode=0o700),
    # The two hypervisors stay the providers that aggregates and the catalogue of hosts name.
    Part(folder="nova-docker", only=("compute_id",), file_mode=0o644),
    Part(folder="nova-libvirt", only=("compute_id",), file_mode=0o644),
    Part(folder="", only=("secrets.json",), renewed=True),
)  # fmt: skip


def part_of(path: str) -> Part | None:
    """The part a file belongs to; None for what does not travel, and for a name that leads elsewhere."""
    if not all(_NAME.fullmatch(step) for step in path.split("/")):
        return None
    return next((part for part in PARTS if part.has(path)), None)
