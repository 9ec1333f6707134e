# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""What every store of namespaces does: the fake, and the kernel's."""

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path

import pytest
from tests.contract.virt.docker.test_netlink import REAL, await_namespace, privileged_daemon
from tests.fakes.namespaces import FakeNamespaces
from tests.functional.virt.docker import daemons

from novadocker import poll, run
from novadocker.errors import NovaDockerError
from novadocker.virt.docker.doors import NamespaceStore
from novadocker.virt.docker.errors import LinkError
from novadocker.virt.docker.identities import Identities
from novadocker.virt.docker.namespaces import Namespaces
from novadocker.virt.docker.pins import KernelNamespaces

USERS = Identities(users=((0, 200000, 1000), (1000, 300000, 5)), groups=((0, 200000, 65536),))
UUID = "4a7a4f28-0c52-4c1b-9cbb-5f2d4f9ed6ba"


@pytest.fixture(params=["fake", *REAL])
def store(request: pytest.FixtureRequest) -> Iterator[NamespaceStore]:
    if request.param == "fake":
        yield FakeNamespaces()
        return
    daemons.require("unshare", "nsenter")
    with privileged_daemon() if request.param != "kernel" else nullcontext():
        yield KernelNamespaces()


@pytest.fixture
def place(tmp_path: Path, store: NamespaceStore) -> Iterator[Path]:
    made = tmp_path / "server"
    made.mkdir()
    yield made
    store.remove(made)


@pytest.mark.parametrize("users", [USERS, None])
def test_they_are_kept_until_they_are_removed(
    store: NamespaceStore, place: Path, users: Identities | None
) -> None:
    assert not store.held(place, user=False)
    store.make(place, users=users)
    assert store.held(place, user=False)
    assert store.held(place, user=True) is (users is not None)
    store.remove(place)
    assert not store.held(place, user=False)
    assert list(place.iterdir()) == []
    store.remove(place)


def test_a_file_alone_is_no_namespace(store: NamespaceStore, place: Path) -> None:
    (place / "net").touch()
    assert not store.held(place, user=False)
    store.remove(place)
    assert list(place.iterdir()) == []


def test_where_they_cannot_be_kept_it_is_told(store: NamespaceStore, place: Path) -> None:
    with pytest.raises(LinkError, match="elsewhere"):
        store.make(place / "elsewhere", users=None)


def test_those_of_a_process_are_kept(store: NamespaceStore, place: Path) -> None:
    real = not isinstance(store, FakeNamespaces)
    process = subprocess.Popen(["unshare", "--net", "sleep", "600"]) if real else None
    try:
        if process:
            await_namespace(process)
        store.adopt(place, pid=process.pid if process else 7, user=False)
    finally:
        if process:
            process.kill()
            process.wait()
    assert store.held(place, user=False)
    assert not store.held(place, user=True)


class Kept:
    """Namespaces in a folder, and what they are made for."""

    def __init__(self, folder: Path, store: NamespaceStore, *, host: str = "h") -> None:
        self.folder = folder
        self.users: Identities | None = USERS
        self.known = Namespaces(folder, host=host, store=store, identities=lambda: self.users)
        self.known.prepare()

    def end(self) -> None:
        for each in list(self.known.servers()):
            self.known.remove(each)


@pytest.fixture
def kept(store: NamespaceStore, tmp_path: Path) -> Iterator[Kept]:
    made = Kept(tmp_path / "kept", store)
    yield made
    made.end()


def test_a_server_s_are_made_once_and_go_with_it(kept: Kept) -> None:
    known = kept.known
    assert (known.find(UUID), list(known.servers())) == (None, [])
    held = known.hold(UUID)
    before = Path(held).stat()
    known.enter("f00d", UUID)
    known.enter("f00d", UUID)
    assert (known.hold(UUID), known.find(UUID), list(known.servers())) == (held, held, [UUID])
    assert Path(held).stat() == before
    known.prepare()
    assert (kept.folder / "f00d").resolve() == Path(held).parent
    known.remove(UUID)
    known.remove(UUID)
    assert known.find(UUID) is None
    known.prepare()
    assert [each.name for each in kept.folder.iterdir()] == ["h"]
    assert list(known.servers()) == []


@pytest.mark.parametrize("users", [None, replace(USERS, users=((0, 200000, 65536),))])
def test_they_are_made_again_for_other_users(kept: Kept, users: Identities | None) -> None:
    known = kept.known
    held = Path(known.hold(UUID))
    kept.users = users
    known.hold(UUID)
    assert (held.parent / "user").exists() is (users is not None)
    assert json.loads((held.parent / "users").read_text()) == json.loads(
        json.dumps(asdict(users) if users else None)
    )


def test_what_is_half_there_is_made_again(kept: Kept) -> None:
    place = kept.folder / "h" / UUID
    place.mkdir()
    (place / "net").touch()
    held = kept.known.hold(UUID)
    assert kept.known.find(UUID) == held


def test_another_host_s_are_left_alone(kept: Kept, store: NamespaceStore) -> None:
    other = Kept(kept.folder, store, host="other")
    other.known.hold(UUID)
    other.known.enter("f00d", UUID)
    assert list(kept.known.servers()) == []
    kept.known.remove(UUID)
    kept.known.prepare()
    assert other.known.find(UUID) is not None
    other.end()
    kept.known.prepare()
    assert (kept.folder / "f00d").is_symlink()  # its own service's to forget


def test_they_are_not_kept_where_nobody_looks(store: NamespaceStore, tmp_path: Path) -> None:
    def untold() -> Identities:
        raise NovaDockerError("Nobody tells.")

    make = partial(Namespaces, host="h", store=store)
    assert make(tmp_path).there
    assert not make(None).there
    assert not make(tmp_path, usable=lambda folder: folder != tmp_path).there
    assert not make(tmp_path, identities=untold).there


@pytest.mark.functional
def test_the_kernel_s_are_a_server_s_own(tmp_path: Path) -> None:
    daemons.require("unshare", "nsenter")
    store = KernelNamespaces()
    store.make(tmp_path, users=USERS)
    own = {kind: Path(f"/proc/self/ns/{kind}").stat().st_ino for kind in ("net", "user")}
    try:
        assert all((tmp_path / kind).stat().st_ino != inode for kind, inode in own.items())
        enter = ["nsenter", f"--user={tmp_path}/user", f"--net={tmp_path}/net", "--"]
        assert run.run([*enter, "cat", "/proc/self/uid_map"]).out.split() == [
            "0", "200000", "1000", "1000", "300000", "5",
        ]  # fmt: skip
        assert run.run([*enter, "cat", "/proc/self/gid_map"]).out.split() == ["0", "200000", "65536"]
        # The user namespace owns the network's: its root may change it.
        run.run([*enter, "ip", "link", "set", "lo", "up"])
    finally:
        store.remove(tmp_path)


@pytest.mark.functional
def test_those_of_a_process_are_kept_when_it_has_ended(tmp_path: Path) -> None:
    daemons.require("unshare")
    process = subprocess.Popen(["unshare", "--net", "sleep", "600"])
    try:
        await_namespace(process)
        inode = Path(f"/proc/{process.pid}/ns/net").stat().st_ino
        KernelNamespaces().adopt(tmp_path, pid=process.pid, user=False)
    finally:
        process.kill()
        process.wait()
    assert (tmp_path / "net").stat().st_ino == inode
    assert not (tmp_path / "user").exists()
    KernelNamespaces().remove(tmp_path)


@pytest.mark.functional
def test_the_host_s_own_are_never_kept(tmp_path: Path) -> None:
    """A process has ended, and its number is another's."""
    daemons.require("unshare")
    with pytest.raises(LinkError, match="host's own"):
        KernelNamespaces().adopt(tmp_path, pid=os.getpid(), user=False)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.functional
def test_why_the_kernel_makes_none_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    daemons.require("unshare")
    (tmp_path / "unshare").write_text("#!/bin/sh\necho unshare failed: No space left on device >&2\n")
    (tmp_path / "unshare").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    with pytest.raises(LinkError, match="No space left"):
        KernelNamespaces().make(tmp_path, users=None)


@pytest.mark.functional
def test_a_mount_namespace_that_copied_the_mounts_holds_nothing(tmp_path: Path) -> None:
    """As libvirtd's does, which looks at the machine from a view of its own."""
    daemons.require("unshare", "nsenter")
    store = KernelNamespaces()
    store.make(tmp_path, users=None)
    other = subprocess.Popen(["unshare", "--mount", "--propagation", "private", "sleep", "600"])
    try:
        mounts = Path(f"/proc/{other.pid}/mounts")
        own = Path("/proc/self/ns/mnt").readlink()
        its = Path(f"/proc/{other.pid}/ns/mnt")
        poll.until(lambda: "not yet" if its.readlink() == own else None, why="a view of its own", seconds=5)
        assert str(tmp_path) in mounts.read_text()
        store.remove(tmp_path)
        assert str(tmp_path) not in mounts.read_text()
    finally:
        other.kill()
        other.wait()
