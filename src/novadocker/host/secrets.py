# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""Passwords of the cloud: made once, kept in one file of mode 0600, shown nowhere."""

import json
import secrets
from dataclasses import dataclass
from pathlib import Path

from novadocker import files
from novadocker.errors import NovaDockerError

NAMES = (
    "admin", "member", "alt", "keystone-db", "glance-db", "placement-db", "neutron-db", "nova-db", "rabbitmq",
    "erlang-cookie", "glance-user", "placement-user", "neutron-user", "nova-user", "metadata-proxy",
)  # fmt: skip


class Secret(str):
    """Text whose `repr` is stars, so that a log or traceback does not tell it."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "'***'"


@dataclass(frozen=True)
class Secrets:
    """The cloud's passwords by name (see `NAMES`)."""

    values: dict[str, Secret]

    def __getitem__(self, name: str) -> Secret:
        return self.values[name]


def load_or_make(path: Path) -> Secrets:
    """Read the passwords from `path`, making those that are missing.

    :raises NovaDockerError: if the file is there and cannot be read as what we wrote.
    """
    known = _read(path) if path.exists() else {}
    values = known | {name: secrets.token_hex(20) for name in NAMES if not known.get(name)}
    files.write(path, json.dumps(values, indent=1) + "\n", mode=0o600)
    return Secrets({name: Secret(value) for name, value in values.items()})


def blank() -> Secrets:
    """Return passwords that are none, for a look at what would be written."""
    return Secrets({name: Secret("***") for name in NAMES})


def load(path: Path) -> Secrets:
    """Read the passwords from `path`; nothing is made or changed.

    :raises NovaDockerError: if the file cannot be read as what we wrote, or lacks a password.
    """
    known = _read(path)
    missing = [name for name in NAMES if not known.get(name)]
    if missing:
        raise NovaDockerError(
            f"The file of passwords {path} lacks some.", facts=", ".join(missing),
            hint="Run `nova-docker up`: it makes them.",
        )  # fmt: skip
    return Secrets({name: Secret(value) for name, value in known.items()})


def _read(path: Path) -> dict[str, str]:
    try:
        return files.read_table(path)
    except ValueError as error:
        raise NovaDockerError(
            f"The file of passwords {path} is damaged.", facts=str(error),
            hint="Put it back from a copy, or remove the cloud with `nova-docker down` and start anew.",
        ) from error  # fmt: skip
