# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""Which users and groups of the host a container's are (pure)."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from novadocker.errors import NovaDockerError

# The first id inside, the first outside, and how many: a line of /proc/PID/uid_map (user_namespaces(7)).
Range = tuple[int, int, int]


@dataclass(frozen=True, kw_only=True)
class Identities:
    """How a user namespace maps its users and groups."""

    users: tuple[Range, ...]
    groups: tuple[Range, ...]


def of_root(uid: int, gid: int, *, subuid: str, subgid: str) -> Identities:
    """Return those of containers whose root is this user and group of the host.

    :raises: NovaDockerError where the host does not tell
    """
    found = Identities(users=ranges(uid, subuid), groups=ranges(gid, subgid))
    if not (found.users and found.groups):
        raise NovaDockerError(
            "Nobody tells which users of this host a container's are.",
            facts=f"dockerd's root in containers is {uid}:{gid}; no user's range in /etc/subuid and "
            "/etc/subgid begins there.",
            hint="Restart dockerd after a change of its --userns-remap or of these files.",
        )
    return found


def ranges(owner: int, subordinates: str) -> tuple[Range, ...]:
    """Return the mapping that dockerd gives containers whose root is `owner`; empty where it is not told.

    dockerd takes all ranges of its user and lets them follow each other inside: as they are written, earlier
    versions the lowest first (Docker's idtools, createIDMap).

    :param subordinates: the text of /etc/subuid or /etc/subgid (subuid(5)).
    """
    of_user: dict[str, list[tuple[int, int]]] = {}
    for name, first, count in _lines(subordinates.splitlines()):
        of_user.setdefault(name, []).append((first, count))
    for each in of_user.values():
        for order in (each, sorted(each)):
            if order[0][0] == owner:
                inside = [sum(count for _, count in order[:at]) for at in range(len(order))]
                return tuple((at, first, count) for at, (first, count) in zip(inside, order, strict=True))
    return ()


def _lines(text: Iterable[str]) -> Iterator[tuple[str, int, int]]:
    for line in text:
        name, _, numbers = line.strip().partition(":")
        first, _, count = numbers.partition(":")
        if first.isdigit() and count.isdigit():
            yield name, int(first), int(count)
