# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""The kernel's namespaces without a process in them: made by a short-lived one, and kept by mounts.

A namespace lives as long as a process is in it, or its file is mounted somewhere (namespaces(7)).
"""

import ctypes
import errno
import os
from collections.abc import Iterable
from pathlib import Path

from novadocker import run
from novadocker.virt.docker import identities, names, privsep
from novadocker.virt.docker.errors import LinkError, explained
from novadocker.virt.docker.identities import Identities, Range

_MS_BIND = 0x1000
_MNT_DETACH = 2
_UMOUNT_NOFOLLOW = 8
_LIBC = ctypes.CDLL(None, use_errno=True)


class KernelNamespaces:
    """Those of the running kernel."""

    def identities(self, uid: int, gid: int) -> Identities:
        """Return those of containers whose root is this user and group of the host."""
        subuid, subgid = (Path(file).read_text() for file in ("/etc/subuid", "/etc/subgid"))
        return identities.of_root(uid, gid, subuid=subuid, subgid=subgid)

    def make(self, place: Path, *, users: Identities | None) -> None:
        """Make a network namespace and, where its users are told, the user namespace that owns it."""
        _make(str(place), (list(users.users), list(users.groups)) if users else None)

    def adopt(self, place: Path, *, pid: int, user: bool) -> None:
        """Keep those that a process is in."""
        _keep(str(place), pid, user)

    def held(self, place: Path, *, user: bool) -> bool:
        """Say whether a network namespace, and a user namespace if wanted, are kept here.

        After a reboot of the machine, only their files are.
        """
        wanted = (names.NETWORK, names.USER) if user else (names.NETWORK,)
        kernel_s = Path("/proc/self/ns/net").stat().st_dev
        try:
            return all((place / name).stat().st_dev == kernel_s for name in wanted)
        except FileNotFoundError:
            return False

    def remove(self, place: Path) -> None:
        """Let go of what is kept here; the kernel takes it away when no process is in it any more."""
        _remove(str(place))


@privsep.privileged
def _make(place: str, maps: tuple[list[Range], list[Range]] | None) -> None:
    # What it is told comes back when its namespaces are there: the program that unshares them becomes cat.
    command = ["unshare", "--net", *(["--user"] if maps else []), "--", "cat"]
    doing = f"make namespaces at {place}"
    with explained(doing, kinds=(OSError, run.CommandFailed)), run.answering(command) as process:
        assert process.stdin is not None and process.stdout is not None
        assert process.stderr is not None
        process.stdin.write(b"\n")
        if not process.stdout.read(1):
            said = process.stderr.read().decode(errors="replace").strip()
            raise LinkError(f"The kernel makes no namespaces: {said}.")
        for name, each in zip(("uid_map", "gid_map"), maps or (), strict=False):
            Path(f"/proc/{process.pid}/{name}").write_text(_lines(each))
        _bind(place, process.pid, user=maps is not None)


@privsep.privileged
def _keep(place: str, pid: int, user: bool) -> None:
    with explained(f"keep the namespaces of process {pid} at {place}"):
        _bind(place, pid, user=user)
        # Its number may be another's by now; a server's namespaces are never the host's.
        if os.path.samestat((Path(place) / names.NETWORK).stat(), Path("/proc/self/ns/net").stat()):
            _remove_both(place)
            raise LinkError(f"Process {pid} is in the host's own network namespace.")


@privsep.privileged
def _remove(place: str) -> None:
    with explained(f"let go of the namespaces at {place}"):
        _remove_both(place)


def _remove_both(place: str) -> None:
    for name in (names.NETWORK, names.USER):
        path = Path(place) / name
        while _LIBC.umount2(os.fsencode(path), _MNT_DETACH | _UMOUNT_NOFOLLOW) == 0:
            pass
        number = ctypes.get_errno()
        if number not in (errno.EINVAL, errno.ENOENT):  # nothing is mounted there, or it is not there
            raise OSError(number, os.strerror(number), str(path))
        # Without its file it is mounted nowhere else either: others may have copied the mount into a mount
        # namespace of theirs (mount_namespaces(7)).
        path.unlink(missing_ok=True)


def _lines(ranges: Iterable[Range]) -> str:
    return "".join(f"{inside} {outside} {count}\n" for inside, outside, count in ranges)


def _bind(place: str, pid: int, *, user: bool) -> None:
    # The network last: where that is, all of it is.
    for name in (names.USER, names.NETWORK) if user else (names.NETWORK,):
        path = Path(place) / name
        path.touch(mode=0o444)
        source = f"/proc/{pid}/ns/{name}"
        if _LIBC.mount(os.fsencode(source), os.fsencode(path), None, _MS_BIND, None) != 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), str(path))
