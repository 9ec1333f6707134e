# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""The flavor extra specs `docker:*`: what there is, and what a flavor's values mean (pure).

A flavor is an administrator's. Nothing that a user of the cloud can set (image properties, a server's
metadata, scheduler hints) says any of this. Nova's API checks values by this table (novadocker.api); the
driver reads them by it again, since older clients are not checked.

There is no `docker:privileged`: it would hand a server the host's devices, and a daemon with user namespaces
refuses it. Nor is there a choice of seccomp profile: Docker's own allows by itself what a capability granted
here is for.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from novadocker.errors import NovaDockerError

NAMESPACE = "docker"

# What root of a container has unless its flavor says otherwise: what a web server or an sshd needs. Of
# Docker's own list these are left out: MKNOD (no devices of its own), SETPCAP and SETFCAP (no-new-privileges
# makes them useless), AUDIT_WRITE (the host's audit log is not the tenant's).
KEPT_CAPABILITIES = (
    "CHOWN",
    "DAC_OVERRIDE",
    "FOWNER",
    "FSETID",
    "KILL",
    "NET_BIND_SERVICE",
    "NET_RAW",
    "SETGID",
    "SETUID",
    "SYS_CHROOT",
)

# What Docker itself gives every container beside them.
_DOCKERS_OWN = ("AUDIT_WRITE", "MKNOD", "SETFCAP", "SETPCAP")

# Of use in a user namespace, and the host itself only where there is none.
_CONFINED = (
    "IPC_LOCK",
    "IPC_OWNER",
    "LEASE",
    "NET_ADMIN",
    "SYS_ADMIN",
    "SYS_BOOT",
    "SYS_NICE",
    "SYS_PTRACE",
    "SYS_TTY_CONFIG",
)

# Those that act on the machine as a whole (SYS_MODULE, SYS_RAWIO, SYS_TIME, BPF …) cannot be given.
ADDABLE = tuple(sorted((*_DOCKERS_OWN, *_CONFINED)))

_TRUE = frozenset({"1", "t", "true", "on", "y", "yes"})
_FALSE = frozenset({"0", "f", "false", "off", "n", "no"})
_PATH = r"/[A-Za-z0-9._-]+(?:/[A-Za-z0-9._-]+)*"


class BadExtraSpec(NovaDockerError):
    """A flavor says something of its containers that cannot be."""


@dataclass(frozen=True, kw_only=True)
class ExtraSpec:
    """One extra spec.

    :ivar name: with its namespace.
    :ivar kind: bool, int or str; `pattern` is what a str must match, `least` and `most` are an int's bounds.
    :ivar relaxes: whether it can weaken what holds a container.
    :ivar default: what holds without it, in words.
    :ivar what: what it does.
    """

    name: str
    kind: type
    what: str
    default: str
    relaxes: bool = False
    pattern: str = ""
    least: int = 0
    most: int = 0


def _listed(item: str) -> str:
    return f"(?:{item})(?:, *(?:{item}))*"


TABLE = (
    ExtraSpec(
        name="docker:no_new_privileges",
        kind=bool,
        relaxes=True,
        default="true",
        what="Whether a program inside can gain nothing by being setuid. False is what sudo needs.",
    ),
    ExtraSpec(
        name="docker:capabilities",
        kind=str,
        pattern=_listed("|".join(ADDABLE)),
        relaxes=True,
        default="none",
        what="Capabilities to add, with commas between them. They count in the container's user namespace; "
        f"all but {', '.join(_DOCKERS_OWN)} are refused where the daemon has no user namespaces.",
    ),
    ExtraSpec(
        name="docker:drop_capabilities",
        kind=str,
        pattern=_listed("|".join(("ALL", *KEPT_CAPABILITIES))),
        default="none",
        what="Capabilities to take from those that every container has, with commas between them, or ALL.",
    ),
    ExtraSpec(
        name="docker:pids",
        kind=int,
        least=16,
        most=4194304,
        relaxes=True,
        default="`[docker] pids_limit`",
        what="The most processes and threads.",
    ),
    ExtraSpec(
        name="docker:read_only_root",
        kind=bool,
        default="false",
        what="Whether the root disk can only be read. Files cannot be put into such a container either.",
    ),
    ExtraSpec(
        name="docker:tmpfs",
        kind=str,
        pattern=_listed(_PATH),
        default="none",
        what="Folders, with commas between them, that are in memory and empty at every start. What is in one "
        "counts as the server's memory; none holds more than half of the flavor's.",
    ),
    ExtraSpec(
        name="docker:shm_size_mb",
        kind=int,
        least=1,
        most=1048576,
        default="64",
        what="The size of /dev/shm in MiB. What is in it counts as the server's memory.",
    ),
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Choices:
    """What a flavor says of its containers; the defaults are what holds where it says nothing."""

    no_new_privileges: bool = True
    capabilities: tuple[str, ...] = ()
    drop_capabilities: tuple[str, ...] = ()
    pids: int | None = None
    read_only_root: bool = False
    tmpfs: tuple[str, ...] = ()
    shm_size_mb: int | None = None

    @property
    def held(self) -> tuple[str, ...]:
        """The capabilities root of the container has."""
        kept = () if "ALL" in self.drop_capabilities else KEPT_CAPABILITIES
        return tuple(
            sorted({*self.capabilities, *(one for one in kept if one not in self.drop_capabilities)})
        )


def parse(extra_specs: Mapping[str, str], *, user_namespaces: bool) -> Choices:
    """Return what a flavor's extra specs say; those of other namespaces are others' to read.

    :param user_namespaces: whether the daemon's containers have one; without, some capabilities are refused.
    :raises: BadExtraSpec
    """
    known = {one.name: one for one in TABLE}
    found: dict[str, bool | int | tuple[str, ...]] = {}
    for name, text in extra_specs.items():
        if name.partition(":")[0] != NAMESPACE:
            continue
        if name not in known:
            raise BadExtraSpec(
                f"The flavor's extra spec '{name}' is none that this host knows.",
                hint=f"It knows {', '.join(known)}.",
            )
        found[name.partition(":")[2]] = _value(known[name], text)
    choices = Choices(**found)  # type: ignore[arg-type]
    beyond = [one for one in choices.capabilities if one in _CONFINED]
    if beyond and not user_namespaces:
        raise BadExtraSpec(
            "The flavor grants capabilities that this host does not give.",
            facts=f"{', '.join(beyond)} would hold for the host: its dockerd runs without --userns-remap.",
        )
    return choices


def _value(spec: ExtraSpec, text: str) -> bool | int | tuple[str, ...]:
    words = text.strip()
    if spec.kind is bool and words.lower() in _TRUE | _FALSE:
        return words.lower() in _TRUE
    if spec.kind is int and re.fullmatch("[0-9]+", words) and spec.least <= int(words) <= spec.most:
        return int(words)
    if spec.kind is str and re.fullmatch(spec.pattern, words) and not _leaves(words):
        return tuple(dict.fromkeys(re.split(", *", words)))
    raise BadExtraSpec(f"The flavor's extra spec '{spec.name}' cannot be '{text}'.", facts=_allowed(spec))


def _leaves(words: str) -> bool:
    return any(part in {".", ".."} for path in words.split(",") for part in path.strip().split("/"))


def _allowed(spec: ExtraSpec) -> str:
    if spec.kind is bool:
        return "It is true or false."
    if spec.kind is int:
        return f"It is a number from {spec.least} to {spec.most}."
    if spec.name == "docker:tmpfs":
        return "It is absolute paths with commas between them."
    names = ADDABLE if spec.name == "docker:capabilities" else ("ALL", *KEPT_CAPABILITIES)
    return f"It is some of {', '.join(names)}."
