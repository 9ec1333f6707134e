# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""The script that looks for what `down` left behind: it must see one thing of every kind."""

import contextlib
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from novadocker import poll

pytestmark = pytest.mark.functional
SCRIPT = Path(__file__).parents[2] / "e2e" / "leftovers.py"


def _script(*words, check: bool = False) -> list[str]:
    command = [sys.executable, SCRIPT, *words]
    done = subprocess.run(command, check=check, capture_output=True, text=True, timeout=120)
    assert not done.stderr, done.stderr
    return done.stdout.splitlines()


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True)


@contextlib.contextmanager
def _process(folder):
    # Its parent ends at once, so that it is none of those below this test.
    command = "setsid sh -c 'echo $$ > pid; exec sleep 4711' & while [ ! -s pid ]; do :; done"
    subprocess.run(["sh", "-c", command], cwd=folder, check=True, stdin=subprocess.DEVNULL)
    try:
        yield r"left behind: process \d+ \(sleep\).* \[sleep 4711[\] ]"
    finally:
        subprocess.run(["kill", (folder / "pid").read_text().strip()], check=True)


@contextlib.contextmanager
def _namespace(folder):
    _ip("netns", "add", "ndk-lo-net")
    try:
        yield "left behind: namespace net, named ndk-lo-net"
    finally:
        _ip("netns", "del", "ndk-lo-net")


@contextlib.contextmanager
def _interface(folder):
    _ip("link", "add", "ndk-lo-a", "type", "veth", "peer", "name", "ndk-lo-b")
    try:
        yield "left behind: interface ndk-lo-a .*veth"
    finally:
        _ip("link", "del", "ndk-lo-a")


@contextlib.contextmanager
def _bridge(folder):
    _ip("link", "add", "ndk-lo-br", "type", "bridge")
    try:
        yield "left behind: interface ndk-lo-br .*bridge"
    finally:
        _ip("link", "del", "ndk-lo-br")


@contextlib.contextmanager
def _address(folder):
    _ip("addr", "add", "198.51.100.77/32", "dev", "lo")
    try:
        yield r"left behind: address 198\.51\.100\.77/32 on lo"
    finally:
        _ip("addr", "del", "198.51.100.77/32", "dev", "lo")


@contextlib.contextmanager
def _route(folder):
    _ip("route", "add", "blackhole", "198.51.100.0/24", "table", "4711")
    try:
        yield r"left behind: route -4 blackhole 198\.51\.100\.0/24 table 4711"
    finally:
        _ip("route", "del", "blackhole", "198.51.100.0/24", "table", "4711")


@contextlib.contextmanager
def _rule(folder):
    _ip("-6", "rule", "add", "from", "2001:db8::/32", "table", "4711")
    try:
        yield r"left behind: route -6 rule \d+:\sfrom 2001:db8::/32 lookup 4711"
    finally:
        _ip("-6", "rule", "del", "from", "2001:db8::/32", "table", "4711")


@contextlib.contextmanager
def _firewall_rule(folder):
    rule = ["INPUT", "-s", "198.51.100.77/32", "-j", "ACCEPT"]
    subprocess.run(["iptables", "-A", *rule], check=True)
    try:
        yield r"left behind: firewall iptables(-legacy)? -t filter -A INPUT -s 198\.51\.100\.77/32 -j ACCEPT"
    finally:
        subprocess.run(["iptables", "-D", *rule], check=True)


@contextlib.contextmanager
def _setting(folder):
    setting = Path("/proc/sys/net/ipv4/ip_default_ttl")
    before = setting.read_text()
    setting.write_text("63")
    try:
        yield r"changed: kernel setting net\.ipv4\.ip_default_ttl \[64 → 63\]"
    finally:
        setting.write_text(before)


@contextlib.contextmanager
def _mount(folder):
    point = folder / "point"
    point.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "none", point], check=True)
    try:
        yield rf"left behind: mount {point} \(tmpfs"
    finally:
        subprocess.run(["umount", point], check=True)


@contextlib.contextmanager
def _loop(folder):
    backing = folder / "backing"
    backing.write_bytes(bytes(1 << 20))
    done = subprocess.run(
        ["losetup", "--find", "--show", backing], check=True, capture_output=True, text=True
    )
    try:
        yield rf"left behind: mount block device loop\d+ \[{backing}\]"
    finally:
        subprocess.run(["losetup", "--detach", done.stdout.strip()], check=True)


@contextlib.contextmanager
def _group(name):
    mounts = [line.split() for line in Path("/proc/mounts").read_text().splitlines()]
    top = next(point for _, point, kind, *_ in mounts if kind in ("cgroup", "cgroup2"))
    group = Path(top) / name
    group.mkdir()
    try:
        yield group
    finally:
        # The kernel takes a moment to see that a killed process has gone.
        poll.until(lambda: _remove(group), why=f"{group} is removed", seconds=5)


def _remove(group: Path) -> str | None:
    try:
        group.rmdir()
    except OSError as error:
        return str(error)
    return None


@contextlib.contextmanager
def _cgroup(folder):
    with _group("ndk-lo") as group:
        yield f"left behind: cgroup {group}"


@contextlib.contextmanager
def _tcp(folder):
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield rf"left behind: listening socket tcp 127\.0\.0\.1 port {server.getsockname()[1]}"


@contextlib.contextmanager
def _tcp6(folder):
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as server:
        yield f"left behind: listening socket tcp6 ::1 port {server.getsockname()[1]}"


@contextlib.contextmanager
def _unix(folder):
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(f"/tmp/ndk-lo-{folder.name}")
        server.listen()
        yield f"left behind: listening socket unix /tmp/ndk-lo-{folder.name}"
    Path(f"/tmp/ndk-lo-{folder.name}").unlink()


@contextlib.contextmanager
def _file(folder):
    (folder / "root").mkdir()
    (folder / "root" / "database").touch()
    try:
        yield f"left behind: file {folder}/root/database"
    finally:
        (folder / "root" / "database").unlink()
        (folder / "root").rmdir()


@contextlib.contextmanager
def _temporary_file(folder):
    file = Path("/tmp/neutron_start_time_ndk-lo")
    file.touch()
    try:
        yield f"left behind: file {file}"
    finally:
        file.unlink()


@contextlib.contextmanager
def _shared_memory(folder):
    file = Path("/dev/shm/ndk-lo")
    file.touch()
    try:
        yield "left behind: shared memory /dev/shm/ndk-lo"
    finally:
        file.unlink()


THINGS = (
    _process, _namespace, _interface, _bridge, _address, _route, _rule, _firewall_rule, _setting, _mount,
    _loop, _cgroup, _tcp, _tcp6, _unix, _file, _temporary_file, _shared_memory,
)  # fmt: skip


def test_one_thing_of_every_kind_is_told_until_it_has_gone(tmp_path):
    folders = ["--root", str(tmp_path / "root"), "--run-dir", str(tmp_path / "run")]
    _script("snapshot", tmp_path / "before", *folders, check=True)
    with contextlib.ExitStack() as things:
        patterns = [things.enter_context(thing(tmp_path)) for thing in THINGS]
        during = _script("compare", tmp_path / "before", *folders)
    missed = [pattern for pattern in patterns if not any(re.search(pattern, line) for line in during)]
    assert not missed, "\n".join(during)
    afterwards = _script("compare", tmp_path / "before", *folders, "--settle", "2")
    assert not [line for line in afterwards for pattern in patterns if re.search(pattern, line)]


def test_what_is_gone_is_told(tmp_path):
    with _mount(tmp_path) as told:
        _script("snapshot", tmp_path / "before", check=True)
    told = told.replace("left behind", "gone")
    assert [line for line in _script("compare", tmp_path / "before") if re.search(told, line)]


def test_what_is_allowed_or_ignored_is_not_told(tmp_path):
    folders = ["--root", str(tmp_path / "root"), "--run-dir", str(tmp_path / "run")]
    _script("snapshot", tmp_path / "before", *folders, check=True)
    with _file(tmp_path) as file, _address(tmp_path) as address:
        options = ["--allow", str(tmp_path / "root"), "--ignore", address]
        during = _script("compare", tmp_path / "before", *folders, *options)
        assert not [line for line in during if re.search(file, line) or re.search(address, line)]


def test_what_others_do_meanwhile_in_groups_of_theirs_is_not_told(tmp_path):
    """But a group at the top is, and one that a cloud's program would name so, with what is in it."""
    with contextlib.ExitStack() as undo:
        there = undo.enter_context(_group("lo-others"))
        _script("snapshot", tmp_path / "before", check=True)
        theirs = undo.enter_context(_group(f"{there.name}/somebody"))
        ours = undo.enter_context(_group(f"{there.name}/ndk-docker"))
        (tmp_path / "theirs").mkdir()
        (tmp_path / "ours").mkdir()
        for group, folder in ((theirs, tmp_path / "theirs"), (ours, tmp_path / "ours")):
            undo.enter_context(_process(folder))
            (group / "cgroup.procs").write_text((folder / "pid").read_text())
        told = _script("compare", tmp_path / "before")
        assert f"left behind: cgroup {ours}" in told
        assert f"left behind: cgroup {theirs}" not in told
        processes = [line for line in told if "[sleep 4711" in line]
        assert len(processes) == 1, told
        assert f"in /{there.name}/ndk-docker" in processes[0]
