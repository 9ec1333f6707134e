# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""Save a cloud: its files of one moment, mended and packed; a running one goes on."""

import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

from cryptography.hazmat.primitives import serialization

from novadocker import files, run
from novadocker.errors import NovaDockerError
from novadocker.host import cgroups
from novadocker.host.bootstrap import arrival, content, schemas
from novadocker.host.saved import archive, copied, still, versions
from novadocker.host.saved.manifest import FIXED, Manifest
from novadocker.host.saved.parts import PARTS, part_of
from novadocker.host.services import registry
from novadocker.host.services.model import Cloud
from novadocker.host.steps import Listener, Step, carry_out
from novadocker.host.supervise import choice

# Whose files are copied while they would write to them.
_WRITERS = ("mariadb", "ovn-nb")


class Saving:
    """One run of `save`.

    :ivar still: for how many seconds the databases were held still; None if they did not run.
    """

    def __init__(self, cloud: Cloud, target: Path) -> None:
        self._cloud = cloud
        self._target = target
        self._folder = cloud.layout.saving
        self._log = cloud.layout.logs / "save.log"
        self.still: float | None = None
        self.manifest: Manifest | None = None

    def carry_out(self, listener: Listener) -> None:
        """Save the cloud.

        :raises NovaDockerError: if it was never whole, or has servers.
        """
        _refuse_half(self._cloud)
        if not self._target.parent.is_dir():
            raise NovaDockerError(
                f"There is no folder {self._target.parent} for the file.", hint="Make it, or name another."
            )
        shutil.rmtree(self._folder, ignore_errors=True)
        try:
            self._folder.mkdir(mode=0o711)
            carry_out(self._steps(), listener=listener)
        finally:
            shutil.rmtree(self._folder, ignore_errors=True)

    def _steps(self) -> list[Step]:
        return [
            Step(name="copy", act=self._copy),
            Step(name="databases", act=self._mend, needs=("copy",)),
            Step(name="network", act=self._compact, needs=("copy",)),
            Step(name="file", act=self._pack, needs=("databases", "network")),
        ]

    def _copy(self) -> bool:
        cloud = self._cloud
        groups = choice.of(cloud, registry.services(cloud)).groups
        pids = {pid for name in _WRITERS if name in groups for pid in cgroups.members(groups[name])}
        with still.held(pids):
            began = time.monotonic()
            for path in travelling(cloud.layout.data):
                part, copy = part_of(path), self._folder / path
                copy.parent.mkdir(parents=True, exist_ok=True)
                _take(cloud.layout.data / path, copy, linked=part is not None and part.frozen)
            self.still = time.monotonic() - began if pids else None
        return True

    def _mend(self) -> bool:
        folder, user = self._folder / "mariadb", self._cloud.config.user
        for path in (self._folder, folder, *folder.rglob("*")):
            shutil.chown(path, user, user)
        with copied.served(folder, user=user, log=self._log) as cursor:
            copied.refuse_servers(cursor)
            copied.forget_machine(cursor)
            whole = copied.images(cursor)
            credentials = copied.has_credentials(cursor)
        for image in (self._folder / "glance" / "images").glob("*"):
            if image.name not in whole:
                image.unlink()
        if not credentials:
            shutil.rmtree(self._folder / "keystone" / "credential-keys")
        return True

    def _compact(self) -> bool:
        database = self._folder / "ovn" / "ovnnb.db"
        if database.exists():
            run.run(["ovsdb-tool", "compact", database])
        return True

    def _pack(self) -> bool:
        cloud, folder = self._cloud, self._folder
        # What is asked for first comes first; images, which may be big, last.
        paths = sorted(travelling(folder), key=lambda path: (path.startswith("glance/"), path))
        key = serialization.load_ssh_private_key(content.key_file(cloud).read_bytes(), password=None)
        public = key.public_key().public_bytes(
            serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH
        )
        self.manifest = Manifest(
            made=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            name=cloud.config.name,
            hostname=cloud.hostname,
            fixed={name: str(getattr(cloud.config, name)) for name in FIXED},
            architecture=versions.architecture(),
            versions=versions.installed(),
            keypair=public.decode(),
            entries=tuple(archive.entry(path, folder / path) for path in paths),
        )
        archive.write(self._target, self.manifest, folder=folder)
        return True


def _take(file: Path, copy: Path, *, linked: bool) -> None:
    if linked and file.stat().st_dev == copy.parent.stat().st_dev:
        os.link(file, copy)
    else:
        shutil.copyfile(file, copy)


def travelling(data: Path) -> Iterator[str]:
    """The files below a cloud's data that travel."""
    for part in PARTS:
        folder = data / part.folder
        found = folder.rglob("*") if part.depth else folder.glob("*")
        for file in sorted(found):
            path = str(file.relative_to(data))
            if file.is_file() and not file.is_symlink() and part_of(path) is part:
                yield path


def _refuse_half(cloud: Cloud) -> None:
    layout = cloud.layout
    done = [content.key_file(cloud), *(layout.data / "schemas" / name for name in schemas.DATABASES)]
    if arrival.pending(layout) or not all(file.exists() for file in done):
        raise NovaDockerError(
            f"The cloud {cloud.config.name} has not been up yet.",
            facts="an `up` or `load` was interrupted, and half a cloud is no use elsewhere",
            hint="Run `nova-docker up`, then save it.",
        )
    files.make_directory(layout.logs, mode=0o700)
