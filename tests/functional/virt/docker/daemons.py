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
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path

import docker
import pytest

from novadocker import oci_runtime

_CLONE_NEWNET = 0x40000000


def require(*programs: str) -> None:
    """Skip where a test cannot run: it needs root and these programs."""
    path = f"{os.environ['PATH']}:/usr/sbin:/sbin"
    absent = [program for program in programs if shutil.which(program, path=path) is None]
    if os.geteuid() != 0 or absent:
        pytest.skip(f"needs root and {', '.join(programs)}; missing: {absent or 'root'}")


@contextmanager
def network_namespace() -> Iterator[None]:
    """Be in a network namespace of our own: the netdev datapath's ovs-netdev exists once per namespace."""
    libc = ctypes.CDLL(None, use_errno=True)
    before = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    if libc.unshare(_CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "unshare")
    try:
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
        yield
    finally:
        libc.setns(before, _CLONE_NEWNET)
        os.close(before)


@contextmanager
def running(
    command: list[str],
    *,
    log: Path,
    ready: Callable[[], bool],
    within: float = 30,
    environment: dict[str, str] | None = None,
) -> Iterator[subprocess.Popen]:
    """Run a daemon until the block is left; its log is shown when it does not become ready."""
    with log.open("ab") as output:
        process = subprocess.Popen(
            command,
            stdout=output,
            stderr=output,
            start_new_session=True,
            env={**os.environ, **(environment or {})},
        )
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

    def __init__(self, place: Path, storage: str) -> None:
        self.place = place
        self.storage = storage
        self.socket = place / "docker.sock"
        self.url = f"unix://{self.socket}"
        self.gates, self.namespaces = place / "gates", place / "namespaces"
        self._running: contextmanager | None = None

    def start(self) -> None:
        command = [
            "dockerd", "--bridge=none", "--iptables=false", "--userns-remap=default", "--live-restore",
            f"--data-root={self.place}/data", f"--exec-root={self.place}/exec", f"--pidfile={self.place}/pid",
            f"--host={self.url}", f"--storage-driver={self.storage}",
            "--exec-opt=native.cgroupdriver=cgroupfs", f"--cgroup-parent=/{self.place.name}",
            f"--add-runtime={oci_runtime.NAME}={self._runtime()}", f"--default-runtime={oci_runtime.NAME}",
            f"--add-runtime={oci_runtime.SANDBOXES}={self._sandbox_runtime()}",
        ]  # fmt: skip
        self._running = running(command, log=self.place / "log", ready=self.socket.exists)
        self.process = self._running.__enter__()

    def _runtime(self) -> Path:
        runtime = self.place / "runtime"
        runtime.write_text(oci_runtime.program(gates=str(self.gates), namespaces=str(self.namespaces)))
        runtime.chmod(0o755)
        return runtime

    def _sandbox_runtime(self) -> Path:
        runtime = self.place / "sandbox-runtime"
        runtime.write_text(oci_runtime.sandbox_program())
        runtime.chmod(0o755)
        return runtime

    def stop(self) -> None:
        if self._running is not None:
            self._running.__exit__(None, None, None)
            self._running = None
            self.socket.unlink(missing_ok=True)


@contextmanager
def dockerd(*, storage: str = "overlay2") -> Iterator[Dockerd]:
    """Run a dockerd; on btrfs, in a file, where containers can be held to a size."""
    # Short: a unix socket's path holds 107 bytes. World-enterable: containers' root is nobody here.
    place = Path(tempfile.mkdtemp(prefix="ndk-docker-"))
    place.chmod(0o755)
    daemon = Dockerd(place, storage)
    try:
        if storage == "btrfs":
            disk, data = place / "disk", place / "data"
            with disk.open("wb") as file:
                file.truncate(1 << 30)
            data.mkdir()
            subprocess.run(["mkfs.btrfs", "-q", str(disk)], check=True)
            subprocess.run(["mount", "-o", "loop", str(disk), str(data)], check=True)
        daemon.start()
        yield daemon
    finally:
        # With live-restore its containers outlive it; only a running daemon takes them away.
        if not daemon.socket.exists():
            daemon.start()
        _remove_containers(daemon)
        daemon.stop()
        for group in Path("/sys/fs/cgroup").glob(f"*/{place.name}"):
            group.rmdir()
        for mount in reversed(Path("/proc/self/mounts").read_text().splitlines()):
            target = mount.split()[1]
            if target.startswith(str(place)):
                subprocess.run(["umount", "-l", target], check=False)
        shutil.rmtree(place, ignore_errors=True)


def _remove_containers(daemon: Dockerd) -> None:
    api = docker.APIClient(base_url=daemon.url, version="auto")
    for one in api.containers(all=True):
        api.remove_container(one["Id"], force=True, v=True)


@contextmanager
def switch(*, bridge: str = "ndk-test") -> Iterator[str]:
    """Run an Open vSwitch with a bridge on the netdev datapath; gives the database's address."""
    place = Path(tempfile.mkdtemp(prefix="ndk-ovs-"))
    database, socket = place / "conf.db", place / "db.sock"
    address = f"unix:{socket}"
    environment = {"OVS_RUNDIR": str(place), "OVS_LOGDIR": str(place), "OVS_DBDIR": str(place)}
    server = ["ovsdb-server", str(database), f"--remote=punix:{socket}", f"--unixctl={place}/server.ctl"]
    vswitchd = ["ovs-vswitchd", address, f"--unixctl={place}/vswitchd.ctl"]
    log = place / "log"
    try:
        create(database, "/usr/share/openvswitch/vswitch.ovsschema")
        with running(server, log=log, ready=socket.exists, environment=environment):
            vsctl(address, "--no-wait", "init")
            with running(vswitchd, log=log, ready=(place / "vswitchd.ctl").exists, environment=environment):
                vsctl(address, "add-br", bridge, "--", "set", "bridge", bridge, "datapath_type=netdev")
                yield address
                vsctl(address, "del-br", bridge)
    finally:
        shutil.rmtree(place, ignore_errors=True)


@contextmanager
def ovn(switch_address: str, *, bridge: str = "ndk-test", hostname: str = "chassis") -> Iterator["Ovn"]:
    """Run OVN's two databases and northd, and an ovn-controller that can be stopped, on a switch."""
    place = Path(tempfile.mkdtemp(prefix="ndk-ovn-"))
    environment = {"OVN_RUNDIR": str(place), "OVN_LOGDIR": str(place), "OVN_DBDIR": str(place)}
    log = place / "log"
    addresses = {}
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, place, ignore_errors=True)
        for name in ("nb", "sb"):
            database, socket = place / f"{name}.db", place / f"{name}.sock"
            addresses[name] = f"unix:{socket}"
            create(database, f"/usr/share/ovn/ovn-{name}.ovsschema")
            command = [
                "ovsdb-server",
                str(database),
                f"--remote=punix:{socket}",
                f"--unixctl={place}/{name}.ctl",
            ]
            stack.enter_context(running(command, log=log, ready=socket.exists, environment=environment))
        northd = ["ovn-northd", f"--ovnnb-db={addresses['nb']}", f"--ovnsb-db={addresses['sb']}",
                  f"--unixctl={place}/northd.ctl"]  # fmt: skip
        stack.enter_context(
            running(northd, log=log, ready=(place / "northd.ctl").exists, environment=environment)
        )
        vsctl(
            switch_address, "set", "open_vswitch", ".", "external_ids:system-id=ndk-test",
            f"external_ids:hostname={hostname}", f"external_ids:ovn-remote={addresses['sb']}",
            "external_ids:ovn-encap-type=geneve", "external_ids:ovn-encap-ip=127.0.0.1",
            f"external_ids:ovn-bridge={bridge}", "external_ids:ovn-bridge-datapath-type=netdev",
        )  # fmt: skip
        yield Ovn(switch_address, addresses["nb"], place, environment)


class Ovn:
    """A running OVN: its northbound database, and its controller to switch on and off."""

    def __init__(
        self, switch_address: str, northbound: str, place: Path, environment: dict[str, str]
    ) -> None:
        self._switch = switch_address
        self._northbound = northbound
        self._place = place
        self._environment = environment

    def controller(self) -> AbstractContextManager[subprocess.Popen]:
        command = ["ovn-controller", self._switch]
        # It finds the bridge's OpenFlow socket in the switch's run directory.
        switch = str(Path(self._switch.removeprefix("unix:")).parent)
        return running(
            command,
            log=self._place / "log",
            ready=lambda: any(self._place.glob("ovn-controller.*.ctl")),
            environment={**self._environment, "OVS_RUNDIR": switch},
        )

    def nbctl(self, *words: str) -> None:
        subprocess.run(["ovn-nbctl", f"--db={self._northbound}", "--timeout=10", *words], check=True)


def create(database: Path, schema: str) -> None:
    subprocess.run(["ovsdb-tool", "create", str(database), schema], check=True)


def vsctl(address: str, *words: str) -> str:
    done = subprocess.run(
        ["ovs-vsctl", f"--db={address}", "--timeout=10", *words], check=True, capture_output=True, text=True
    )
    return done.stdout.strip()
