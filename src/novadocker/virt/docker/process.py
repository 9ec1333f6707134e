# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""What a server's process is to be: its image's properties and its own metadata, read (pure).

A property of the image replaces what the image itself says, and metadata of the server replaces both; of the
environment each variable by itself. All of it is the tenant's own: it chooses what runs in a container, never
what holds the container.
"""

import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field

from novadocker.virt.docker.errors import SettingRejected

# Nova keeps an image's properties with the server so named, each cut to 255 bytes (nova/utils.py).
_KEPT = "image_"
_MOST = 255

# The image property is Nova's own (nova/objects/image_meta.py); the rest are ours.
COMMAND_OF_IMAGE = "os_command_line"
COMMAND = "docker_command"
USER = "docker_user"
WORKING_DIR = "docker_working_dir"
ENVIRONMENT = "docker_environment"
VARIABLE = "docker_env:"

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*\Z")
_USER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*(:[A-Za-z0-9_][A-Za-z0-9_.-]*)?\Z")


@dataclass(frozen=True, kw_only=True)
class Process:
    """A process; what is empty is left as the image says."""

    command: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    user: str = ""
    working_dir: str = ""


def of_image(system_metadata: Mapping[str, str]) -> dict[str, str]:
    """Return an image's properties, as Nova keeps them with a server."""
    return {key.removeprefix(_KEPT): value for key, value in system_metadata.items() if key.startswith(_KEPT)}


def wanted(*, image: Mapping[str, str], metadata: Mapping[str, str]) -> Process:
    """Return what is to run; raises SettingRejected for what cannot be meant.

    :param image: the image's properties.
    :param metadata: the server's own.
    """
    sources = (_Source("image property", image, COMMAND_OF_IMAGE), _Source("metadata", metadata, COMMAND))
    command: tuple[str, ...] = ()
    environment: dict[str, str] = {}
    user = working_dir = ""
    for source in sources:
        command = source.words(source.command) or command
        environment |= source.environment()
        user = source.matching(USER, _USER, "a name or a number, or two with a colon between them") or user
        working_dir = source.matching(WORKING_DIR, re.compile(r"/"), "a path from the root") or working_dir
    return Process(command=command, environment=environment, user=user, working_dir=working_dir)


@dataclass(frozen=True)
class _Source:
    """One place where settings come from, and what it is called."""

    name: str
    values: Mapping[str, str]
    command: str

    def text(self, key: str) -> str:
        value = self.values.get(key) or ""
        if self.name != "metadata" and len(value.encode()) >= _MOST:
            raise self._rejected(key, f"Nova keeps at most {_MOST - 1} bytes of it")
        if "\0" in value:
            raise self._rejected(key, "it holds a zero byte")
        return value

    def words(self, key: str) -> tuple[str, ...]:
        try:
            return tuple(shlex.split(self.text(key)))
        except ValueError as error:  # "No closing quotation"
            raise self._rejected(key, f"it is not words as a shell reads them: {error}") from error

    def environment(self) -> dict[str, str]:
        found = {}
        for word in self.words(ENVIRONMENT):
            name, equals, value = word.partition("=")
            if not equals:
                raise self._rejected(ENVIRONMENT, f"it is not NAME=value: {word[:40]}")
            found[self._variable(ENVIRONMENT, name)] = value
        for key in sorted(self.values):
            if key.startswith(VARIABLE):
                found[self._variable(key, key.removeprefix(VARIABLE))] = self.text(key)
        return found

    def matching(self, key: str, pattern: re.Pattern[str], meant: str) -> str:
        value = self.text(key)
        if value and not pattern.match(value):
            raise self._rejected(key, f"it is to be {meant}")
        return value

    def _variable(self, key: str, name: str) -> str:
        if not _NAME.match(name):
            raise self._rejected(key, f"no variable has such a name: {name[:40]!r}")
        return name

    def _rejected(self, key: str, why: str) -> SettingRejected:
        return SettingRejected(f"The server's {self.name} {key[:60]} cannot be used: {why}.")
