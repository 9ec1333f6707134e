# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""What a server is given from outside: its config drive, files, and the password of its root."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from oslo_log import log as logging

from novadocker.virt.docker import accounts, files, injection, names, spec
from novadocker.virt.docker.doors import DriveContent, Engine
from novadocker.virt.docker.errors import ReadOnlyRoot
from novadocker.virt.docker.facts import EngineFacts

LOG = logging.getLogger(__name__)

_MOST_SHADOW = 1 << 20


@dataclass(frozen=True, kw_only=True)
class Given:
    """What somebody gives a server once, when it is made."""

    files: Sequence[tuple[str, bytes]] = ()
    password: str | None = None


class Guest:
    """What goes into containers beside their images.

    :param wants_drive: whether a server is to have a config drive.
    """

    def __init__(
        self,
        *,
        engine: Engine,
        facts: Callable[[], EngineFacts],
        content: DriveContent,
        wants_drive: Callable[[Any], bool],
    ) -> None:
        self._engine = engine
        self._facts = facts
        self._content = content
        self.wants_drive = wants_drive

    def prepare(self, place: Path, instance: Any) -> None:
        """Make the folder of a server's config drive, which must be there before its container."""
        if self.wants_drive(instance):
            files.make_drive(place / spec.DRIVE, group=self._facts().root_owner[1])

    def fill_drive(self, place: Path, instance: Any, network_info: Any, *, given: Given) -> None:
        """Write the config drive of a server that is to have one, if it is empty: once, as a VM's."""
        folder = place / spec.DRIVE
        if self.wants_drive(instance) and not any(folder.iterdir()):
            content = self._content(instance, network_info, files=given.files, password=given.password)
            files.write_drive(folder, content)

    def put(self, instance: Any, *, given: Given, user: str) -> None:
        """Put what was given into a server's new container, before its process starts.

        :raises: SettingRejected, EngineError
        """
        if given.files:
            archive = injection.archive(given.files)
            self._engine.put(names.container(uuid=instance.uuid, role=names.WORKLOAD), archive)
        # Nova makes up a password where none was asked for: an image without accounts is no error here.
        if given.password and not self.set_password(instance, user=user, password=given.password):
            LOG.info("There is no account %s to give the password to", user, instance=instance)

    def set_password(self, instance: Any, *, user: str, password: str) -> bool:
        """Change a user's password; False where no account database that can be written has that user."""
        name = names.container(uuid=instance.uuid, role=names.WORKLOAD)
        found = self._engine.read(name, accounts.SHADOW, limit=_MOST_SHADOW)
        changed = accounts.with_password(found, user=user, password=password) if found else None
        if changed is None:
            return False
        try:
            self._engine.put(name, injection.packed([(accounts.SHADOW, changed)]))
        except ReadOnlyRoot:
            return False
        return True
