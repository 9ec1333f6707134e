# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""Namespaces in memory."""

from pathlib import Path

from novadocker.virt.docker import names
from novadocker.virt.docker.errors import LinkError
from novadocker.virt.docker.identities import Identities


class FakeNamespaces:
    """What is kept where."""

    def __init__(self) -> None:
        self.files: dict[Path, set[str]] = {}

    def identities(self, uid: int, gid: int) -> Identities:
        return Identities(users=((0, uid, 65536),), groups=((0, gid, 65536),))

    def make(self, place: Path, *, users: Identities | None) -> None:
        self._keep(place, user=users is not None)

    def adopt(self, place: Path, *, pid: int, user: bool) -> None:
        self._keep(place, user=user)

    def held(self, place: Path, *, user: bool) -> bool:
        wanted = {names.NETWORK, names.USER} if user else {names.NETWORK}
        return wanted <= self.files.get(place, set())

    def remove(self, place: Path) -> None:
        self.files.pop(place, None)
        for name in (names.NETWORK, names.USER):
            (place / name).unlink(missing_ok=True)

    def _keep(self, place: Path, *, user: bool) -> None:
        if not place.is_dir():
            raise LinkError(f"Could not make namespaces at {place}.")
        self.files[place] = {names.NETWORK, names.USER} if user else {names.NETWORK}
        for name in self.files[place]:
            (place / name).touch()
