# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""Private daemons for the functional tests: a dockerd and an Open vSwitch, each under a directory of its own.

They are children of the test process, live in its network namespace, and are stopped by their own pid.
"""

import ctypes
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

_CLONE_NEWNET = 0x40000000


def missing(*programs: str) -> list[str]:
    return [
        program
        for program in programs
        if shutil.which(program, path=f"{os.environ['PATH']}:/usr/sbin:/sbin") is None
    ]


@contextmanager
def network_namespace() -> Iterator[None]:
    """Be in a network namespace of our own: the netdev datapath's ovs-netdev exists once per namespace."""
    libc = ctypes.CDLL(None, use_errno=True)
    before = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    if libc.unshare(_CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "unshare")
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    try:
        yield
    finally:
        libc.setns(before, _CLONE_NEWNET)
        os.close(before)


@contextmanager
def running(
    command: list[str], *, log: Path, ready: Callable[[], bool], within: float = 30
) -> Iterator[subprocess.Popen]:
    """Run a daemon until the block is left; its log is shown when it does not become ready."""
    with log.open("ab") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, start_new_session=True)
    try:
        deadline = time.monotonic() + within
        while not ready():
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{command[0]} did not start:\n{log.read_text()[-3000:]}")
            time.sleep(0.05)
        yield process
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(5)


class Dockerd:
    """A dockerd that can be started, stopped and started again on one data directory."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self.socket = place / "docker.sock"
        self.url = f"unix://{self.socket}"
        self._running: contextmanager | None = None

    def start(self) -> None:
        command = [
            "dockerd", "--bridge=none", "--iptables=false", "--userns-remap=default", "--live-restore",
            f"--data-root={self.place}/data", f"--exec-root={self.place}/exec", f"--pidfile={self.place}/pid",
            f"--host={self.url}", "--storage-driver=overlay2", "--exec-opt=native.cgroupdriver=cgroupfs",
        ]  # fmt: skip
        self._running = running(command, log=self.place / "log", ready=self.socket.exists)
        self.process = self._running.__enter__()

    def stop(self) -> None:
        if self._running is not None:
            self._running.__exit__(None, None, None)
            self._running = None
            self.socket.unlink(missing_ok=True)


@contextmanager
def dockerd() -> Iterator[Dockerd]:
    # Short: a unix socket's path holds 107 bytes. World-enterable: containers' root is nobody here.
    place = Path(tempfile.mkdtemp(prefix="ndk-docker-"))
    place.chmod(0o755)
    daemon = Dockerd(place)
    daemon.start()
    try:
        yield daemon
    finally:
        _remove_containers(daemon)
        daemon.stop()
        for mount in reversed(Path("/proc/self/mounts").read_text().splitlines()):
            target = mount.split()[1]
            if target.startswith(str(place)):
                subprocess.run(["umount", "-l", target], check=False)
        shutil.rmtree(place, ignore_errors=True)


def _remove_containers(daemon: Dockerd) -> None:
    import docker

    api = docker.APIClient(base_url=daemon.url, version="auto")
    for one in api.containers(all=True):
        api.remove_container(one["Id"], force=True, v=True)


@contextmanager
def switch() -> Iterator[str]:
    """Run an Open vSwitch with a bridge `ndk-test` on the netdev datapath; gives the database's address."""
    place = Path(tempfile.mkdtemp(prefix="ndk-ovs-"))
    database, socket = place / "conf.db", place / "db.sock"
    environment = {**os.environ, "OVS_RUNDIR": str(place), "OVS_LOGDIR": str(place), "OVS_DBDIR": str(place)}
    os.environ.update(environment)
    schema = "/usr/share/openvswitch/vswitch.ovsschema"
    subprocess.run(["ovsdb-tool", "create", str(database), schema], check=True, env=environment)
    server = ["ovsdb-server", str(database), f"--remote=punix:{socket}", f"--unixctl={place}/server.ctl"]
    vswitchd = ["ovs-vswitchd", f"unix:{socket}", f"--unixctl={place}/vswitchd.ctl"]
    try:
        with running(server, log=place / "log", ready=socket.exists):
            vsctl(f"unix:{socket}", "--no-wait", "init")
            with running(vswitchd, log=place / "log", ready=(place / "vswitchd.ctl").exists):
                vsctl(
                    f"unix:{socket}",
                    "add-br", "ndk-test", "--", "set", "bridge", "ndk-test", "datapath_type=netdev",
                )  # fmt: skip
                yield f"unix:{socket}"
                vsctl(f"unix:{socket}", "del-br", "ndk-test")
    finally:
        shutil.rmtree(place, ignore_errors=True)


def vsctl(address: str, *words: str) -> str:
    done = subprocess.run(
        ["ovs-vsctl", f"--db={address}", "--timeout=10", *words], check=True, capture_output=True, text=True
    )
    return done.stdout.strip()
