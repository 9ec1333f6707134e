# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""What a saved cloud says of itself, and what speaks against loading it; all pure."""

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from novadocker.host.saved import parts

FORMAT = 1
# Their databases are of one release: no other can use them.
RELEASE = ("nova", "neutron", "keystone", "glance", "openstack-placement", "mariadb")
# What of the configuration the databases hold. Bridges they do not: another machine, other bridges.
FIXED = ("region", "network_backend", "external_cidr", "private_cidr")
_DIGEST = re.compile(r"[0-9a-f]{64}")
# It stands in shell lines.
_HOSTNAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9.-]{0,63}")


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A file, named from the cloud's data on; its size in bytes and what it holds."""

    path: str
    size: int
    sha256: str


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """A saved cloud.

    :ivar made: when, in UTC.
    :ivar hostname: what the cloud calls its chassis and libvirt's host; it keeps these names.
    :ivar keypair: the public half of the cloud's own keypair.
    """

    made: str
    name: str
    hostname: str
    fixed: Mapping[str, str]
    architecture: str
    versions: Mapping[str, str]
    keypair: str
    entries: tuple[Entry, ...]

    @property
    def size(self) -> int:
        """What it takes unpacked, in bytes."""
        return sum(entry.size for entry in self.entries)

    @property
    def images(self) -> int:
        """How many images are in it."""
        return sum(entry.path.startswith("glance/images/") for entry in self.entries)


def to_json(manifest: Manifest) -> bytes:
    """As it stands at the beginning of a file."""
    return (json.dumps({"format": FORMAT, **asdict(manifest)}, indent=1) + "\n").encode()


def from_json(data: bytes) -> Manifest:
    """What `to_json` gave; everything in it was looked at.

    :raises ValueError: for anything else.
    """
    try:
        values = json.loads(data)
        if values.pop("format") != FORMAT:
            raise ValueError("it is of a format that this nova-docker does not know")
        entries = tuple(Entry(**each) for each in values.pop("entries"))
        manifest = Manifest(**values, entries=entries)
    except (AttributeError, KeyError, TypeError) as error:
        raise ValueError(f"what it says of itself is not what `save` writes: {error}") from error
    for problem in _problems(manifest):
        raise ValueError(problem)
    return manifest


def _problems(manifest: Manifest) -> list[str]:
    texts: tuple[Any, ...] = (manifest.made, manifest.name, manifest.architecture, manifest.keypair)
    problems = []
    if not all(isinstance(text, str) for text in texts) or not _are_texts(manifest.versions):
        problems.append("something in it is no text")
    if not _are_texts(manifest.fixed) or set(manifest.fixed) != set(FIXED):
        problems.append(f"it does not say its {', '.join(FIXED)}")
    if not isinstance(manifest.hostname, str) or not _HOSTNAME.fullmatch(manifest.hostname):
        problems.append(f"its host name is none: {manifest.hostname!r}")
    for entry in manifest.entries:
        if not isinstance(entry.path, str) or parts.part_of(entry.path) is None:
            problems.append(f"there is a file in it that is no part of a cloud: {entry.path!r}")
        if not isinstance(entry.size, int) or entry.size < 0 or not _DIGEST.fullmatch(str(entry.sha256)):
            problems.append(f"it does not say what {entry.path!r} holds")
    if len({entry.path for entry in manifest.entries}) != len(manifest.entries):
        problems.append("a file is in it twice")
    return problems


def _are_texts(values: object) -> bool:
    return isinstance(values, dict) and all(isinstance(value, str) for value in values.values())


def refusals(manifest: Manifest, *, architecture: str, versions: Mapping[str, str]) -> list[str]:
    """Why a machine with this processor and these versions cannot load it; empty if it can."""
    found = [
        f"{name} {manifest.versions.get(name, 'unknown')} in the file, {versions.get(name, 'none')} here"
        for name in RELEASE
        if manifest.versions.get(name) != versions.get(name)
    ]
    if manifest.architecture != architecture:
        found.append(f"made on {manifest.architecture}, this is {architecture}")
    return found
