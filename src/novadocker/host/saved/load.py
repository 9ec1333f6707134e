# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""Load a saved cloud: everything is checked and unpacked aside before any of it counts."""

import os
import pwd
import shutil
from dataclasses import dataclass
from pathlib import Path

from cryptography.fernet import Fernet

from novadocker import files
from novadocker.errors import NovaDockerError
from novadocker.host import cloud, clouds, config, networks, state
from novadocker.host.bootstrap import arrival
from novadocker.host.saved import archive, manifest, versions
from novadocker.host.saved.manifest import Manifest
from novadocker.host.saved.parts import Part, part_of
from novadocker.host.state import Layout

_GIB = 1 << 30


@dataclass(frozen=True, kw_only=True)
class Loading:
    """One run of `load`; `up` then does the rest."""

    chosen: config.HostConfig
    file: Path
    keep_secrets: bool

    @property
    def _layout(self) -> Layout:
        return Layout.of(self.chosen)

    def unpack(self) -> Manifest:
        """Put the saved cloud where `up` finds it.

        :raises NovaDockerError: if there is a cloud already, or the file is not one for this machine; nothing
            is changed then.
        """
        layout = self._layout
        state.refuse_foreign(layout)
        if layout.memory_file.exists():
            raise NovaDockerError(
                f"There is a cloud {self.chosen.name} already.",
                facts=f"it lies in {layout.root}",
                hint="Take it away with `nova-docker down`, or give the loaded one another --name.",
            )
        shutil.rmtree(layout.loading, ignore_errors=True)
        try:
            with archive.opened(self.file) as saved:
                memory = self._decided(saved.manifest)
                aside = Layout(root=layout.loading, run=layout.run)
                files.make_directory(aside.data)
                _unpack(saved, aside.data, user=self.chosen.user, renewed=not self.keep_secrets)
            _make_keys(aside.data / "keystone", user=self.chosen.user)
            renewed = arrival.Arrival(renewed=not self.keep_secrets, keypair=saved.manifest.keypair)
            arrival.note(aside, renewed)
            state.remember(aside, memory)
            if layout.data.exists():
                layout.data.rmdir()  # an `up` that was interrupted at once left it, empty
            aside.data.rename(layout.data)
        finally:
            shutil.rmtree(layout.loading, ignore_errors=True)
        return saved.manifest

    def _decided(self, saved: Manifest) -> state.Memory:
        """What this machine's cloud will remember, if there can be one."""
        against = manifest.refusals(
            saved, architecture=versions.architecture(), versions=versions.installed()
        )
        if against:
            raise NovaDockerError(
                f"{self.file} was saved by another release.",
                facts="\n".join(against),
                hint="Save it anew with the release that is installed here.",
            )
        config.check(networks.remembered(self.chosen, saved.fixed, whole=True))
        for other in clouds.others(self.chosen.name):
            if other.memory.hostname == saved.hostname:
                raise NovaDockerError(
                    "Two clouds of a machine cannot have hosts of the same names.",
                    facts=f"{saved.hostname} is the cloud {other.name}'s, and the saved one's",
                    hint="Take the other one away, or load this on another machine.",
                )
        memory = state.Memory(hostname=saved.hostname, fixed=dict(saved.fixed))
        cloud.foresee(self.chosen, memory=memory)
        memory.ports = {}  # `up` chooses them, and tells which are not the usual ones
        place = next(path for path in (self._layout.root, *self._layout.root.parents) if path.exists())
        free = shutil.disk_usage(place).free
        if saved.size > free:
            raise NovaDockerError(
                f"There is too little room for the saved cloud in {place}.",
                facts=f"{saved.size / _GIB:.1f} GiB are needed, {free / _GIB:.1f} are free",
                hint="Free some, or choose another --root.",
            )
        return memory


def interrupted(layout: Layout) -> bool:
    """Whether an earlier load did not come to its end: what it left is to be taken away."""
    return arrival.pending(layout)


def _unpack(saved: archive.Saved, data: Path, *, user: str, renewed: bool) -> None:
    owner = pwd.getpwnam(user)
    for entry, content in saved.unpack():
        part = part_of(entry.path)
        if part is None or (renewed and part.renewed):
            continue
        ids = (owner.pw_uid, owner.pw_gid) if part.of_service else (0, 0)
        file = data / entry.path
        _make_folders(file.parent, data=data, part=part, ids=ids)
        with file.open("xb") as stream:
            os.fchmod(stream.fileno(), part.file_mode)
            os.fchown(stream.fileno(), *ids)
            content.copy(stream)


def _make_folders(folder: Path, *, data: Path, part: Part, ids: tuple[int, int]) -> None:
    missing = [path for path in (folder, *folder.parents) if path.is_relative_to(data) and not path.is_dir()]
    for path in reversed(missing):
        files.make_directory(path, mode=part.folder_mode, uid=ids[0], gid=ids[1])


def _make_keys(keystone: Path, *, user: str) -> None:
    """Keystone's keys where none came along: one that signs, and the next."""
    owner = pwd.getpwnam(user)
    ids = {"uid": owner.pw_uid, "gid": owner.pw_gid}
    for name in ("fernet-keys", "credential-keys"):
        folder = keystone / name
        if folder.is_dir() and any(folder.iterdir()):
            continue
        for path in (keystone, folder):
            files.make_directory(path, mode=0o700 if path == folder else 0o755, **ids)
        for number in ("0", "1"):
            files.write(folder / number, Fernet.generate_key(), mode=0o600, **ids)
