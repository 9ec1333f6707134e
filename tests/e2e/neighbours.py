# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""A user's own Docker, libvirt and other programs on the machine, in their usual places, each at work.

dockerd makes its bridge, publishes a port and sets the FORWARD policy to DROP, as it does on any machine, and
libvirtd has a network of the kind it calls default: the servers are reached, and reach out, beside them.
"""

import json
import re
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

import psutil
from tests.e2e.cloud import get, until

from novadocker.host.config import USUAL_PORTS
from novadocker.host.images import container

DOCKER = ("docker", "-H", "unix:///run/docker.sock")
VIRSH = ("virsh", "-q", "-c", "qemu:///system?socket=/run/libvirt/libvirt-sock")
NAME = "ndk-neighbour"
PUBLISHED = 18080
BRIDGE = "ndk-nbr0"
NETWORK = f"""
<network><name>{NAME}</name><forward mode='nat'/><bridge name='{BRIDGE}'/>
<ip address='192.168.177.1' netmask='255.255.255.0'>
<dhcp><range start='192.168.177.2' end='192.168.177.254'/></dhcp></ip></network>
"""
DOMAIN = f"""
<domain type='qemu'><name>{NAME}</name><memory unit='MiB'>16</memory>
<os><type arch='x86_64'>hvm</type></os>
<devices><interface type='network'><source network='{NAME}'/></interface></devices></domain>
"""
# Ours, and where a developer's machine has databases, brokers, consoles, or a cloud of another make.
PORTS = tuple(sorted({*USUAL_PORTS.values(), 3306, 4369, 5672, 6080, 6640, 6641, 6642, 11211}))
SAYS = b"neighbour"
_LISTENER = f"""
import selectors, socket, sys
chosen = selectors.DefaultSelector()
for port in sys.argv[1:]:
    chosen.register(socket.create_server(("0.0.0.0", int(port))), selectors.EVENT_READ)
print("listening", flush=True)
while True:
    for key, _ in chosen.select():
        with key.fileobj.accept()[0] as client:
            client.sendall({SAYS!r})
"""


def said(*command: str, check: bool = True) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0 or not check, f"{command}: {done.stderr}"
    return done.stdout.strip()


@contextmanager
def _daemon(*command: str, log: Path, ready: Callable[[], bool]) -> Iterator[None]:
    # Below tini, which reaps what libvirt's probes leave behind.
    with log.open("wb") as stream:
        process = subprocess.Popen(
            ["tini", "-s", "--", *command], stdout=stream, stderr=stream, stdin=subprocess.DEVNULL
        )
    try:
        until(lambda: ready() or process.poll() is not None, seconds=60, why=f"{command[0]} ready")
        assert process.poll() is None, log.read_text()[-2000:]
        yield
    finally:
        family = psutil.Process(process.pid).children(recursive=True)
        process.terminate()
        process.wait(30)
        for relative in psutil.wait_procs(family, timeout=10)[1]:
            relative.kill()


@contextmanager
def _made(*folders: str) -> Iterator[None]:
    """Take folders away again that were not there before."""
    missing = [Path(folder) for folder in folders if not Path(folder).exists()]
    yield
    for folder in missing:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _rules() -> Iterator[Callable[[], object]]:
    """Put firewall and forwarding back as they were: daemons leave theirs. Gives a look at their rules."""
    forwarding = Path("/proc/sys/net/ipv4/ip_forward")
    forwarded = forwarding.read_text()
    before = said("iptables-save") + "\n"
    chains = {
        "filter": ("INPUT", "FORWARD", "OUTPUT"),
        "nat": ("PREROUTING", "INPUT", "OUTPUT", "POSTROUTING"),
    }
    for table, names in chains.items():
        if f"*{table}\n" not in before:
            before += f"*{table}\n" + "".join(f":{name} ACCEPT [0:0]\n" for name in names) + "COMMIT\n"
    theirs = re.compile(f"DOCKER|docker0|LIBVIRT|{BRIDGE}")
    try:
        # In their order, and the policies of the chains that everybody shares.
        yield lambda: [
            line
            for table in chains
            for line in said("iptables", "-t", table, "-S").splitlines()
            if line.startswith("-P") or theirs.search(line)
        ]
    finally:
        subprocess.run(["iptables-restore"], input=before, text=True, check=True)
        forwarding.write_text(forwarded)


def _answers(path: Path) -> bool:
    """Say whether somebody listens: a daemon that was killed leaves its socket."""
    with socket.socket(socket.AF_UNIX) as client:
        try:
            client.connect(str(path))
        except OSError:
            return False
    return True


@contextmanager
def docker(place: Path) -> Iterator[Callable[[], object]]:
    """The user's dockerd with a container; gives what is to stay as it is."""
    command = ("dockerd", f"--data-root={place}/docker", "--storage-driver=overlay2", "--log-level=error")
    door = Path("/run/docker.sock")
    if _answers(door):
        yield lambda: [said(*DOCKER, "ps", "-aq"), said(*DOCKER, "images", "-q")]  # a real user's
        return
    with (
        _made("/run/docker", "/run/docker.sock", "/run/docker.pid", "/run/containerd", "/etc/docker"),
        _daemon(*command, log=place / "docker.log", ready=partial(_answers, door)),
    ):
        archive = container.archive(Path("/bin/busybox").read_bytes(), name="ndk/neighbour")
        subprocess.run([*DOCKER, "load", "-q"], input=archive, check=True, capture_output=True)
        said(*DOCKER, "run", "-d", "--name", NAME, "-p", f"{PUBLISHED}:80", "ndk/neighbour")
        inside = "{{.NetworkSettings.IPAddress}} {{.NetworkSettings.Gateway}}"
        address, gateway = said(*DOCKER, "inspect", "-f", inside, NAME).split()
        # By its proxy, by the firewall's redirection, and by the bridge.
        doors = (f"127.0.0.1:{PUBLISHED}", f"{gateway}:{PUBLISHED}", address)
        try:
            yield lambda: [
                [_page(door) for door in doors],
                said(*DOCKER, "exec", NAME, "wget", "-qO-", f"http://{gateway}:{PUBLISHED}/"),
                said(*DOCKER, "inspect", "-f", "{{.State.Pid}} {{.State.StartedAt}}", NAME),
                said(*DOCKER, "ps", "-aq"),
                said(*DOCKER, "images", "-q"),
                _addresses("docker0"),
            ]
        finally:
            said(*DOCKER, "rm", "-f", NAME)
    said("ip", "link", "delete", "docker0")


@contextmanager
def libvirt(place: Path) -> Iterator[Callable[[], object]]:
    """The user's libvirtd with a domain; gives what is to stay as it is."""
    settings, domain, network = (place / name for name in ("libvirtd.conf", "domain.xml", "network.xml"))
    settings.write_text('auth_unix_rw = "none"\nlog_level = 4\n')
    domain.write_text(DOMAIN)
    network.write_text(NETWORK)
    run = Path("/run/libvirt")
    with (
        _made(
            "/run/libvirt", "/run/libvirt/qemu", "/var/lib/libvirt", "/var/cache/libvirt", "/var/log/libvirt"
        ),
        _daemon("virtlogd", log=place / "virtlogd.log", ready=partial(_answers, run / "virtlogd-sock")),
        _daemon(
            "libvirtd",
            "-f",
            str(settings),
            log=place / "libvirtd.log",
            ready=partial(_answers, run / "libvirt-sock"),
        ),
    ):
        # A killed run's: libvirtd takes up what it finds running.
        said(*VIRSH, "destroy", NAME, check=False)
        said(*VIRSH, "net-destroy", NAME, check=False)
        try:
            said(*VIRSH, "net-create", str(network))
            said(*VIRSH, "create", str(domain))
            # Its bridge takes seconds to see that somebody is on it; routes say so.
            route = ("ip", "route", "show", "dev", BRIDGE)
            until(lambda: "linkdown" not in said(*route), seconds=30, why="the neighbour's VM on its bridge")
            yield lambda: [
                said(*VIRSH, "list", "--all"),
                said(*VIRSH, "domstate", NAME),
                said(*VIRSH, "domuuid", NAME),
                said(*VIRSH, "domiflist", NAME),
                said(*VIRSH, "net-list", "--all"),
                _addresses(BRIDGE),
                (run / "network" / f"{NAME}.pid").read_text(),
            ]
        finally:
            said(*VIRSH, "destroy", NAME, check=False)
            said(*VIRSH, "net-destroy", NAME, check=False)


def _page(where: str) -> str:
    return str(until(lambda: get(f"http://{where}/"), seconds=30, why=f"the neighbour's page at {where}"))


def _addresses(link: str) -> object:
    """What an interface has of addresses, whatever their age."""
    (found,) = json.loads(said("ip", "-j", "address", "show", link))
    return [(each["local"], each["prefixlen"]) for each in found["addr_info"]]


@contextmanager
def programs(*ports: int) -> Iterator[Callable[[], object]]:
    """A program that answers at each of the ports that nobody has."""
    free = [port for port in ports if not _answers_at(port)]
    listener = [sys.executable, "-c", _LISTENER, *map(str, free)]
    with subprocess.Popen(listener, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == b"listening\n"
            yield lambda: {port: _answers_at(port) for port in ports}
        finally:
            process.terminate()


def _answers_at(port: int) -> bytes:
    """What whoever listens there says first; empty if nobody does, or it waits for us to speak."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
            return connection.recv(64) or b"nothing"
    except TimeoutError:
        return b"silence"
    except OSError:
        return b""


@contextmanager
def all_of_them() -> Iterator[Callable[[], object]]:
    """All of them; gives a look at them, to be compared with an earlier one."""
    place = Path(tempfile.mkdtemp(prefix="ndk-neighbours-"))
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, place, ignore_errors=True)
        neighbours = (_rules(), docker(place), libvirt(place), programs(*PORTS))
        looks = [stack.enter_context(each) for each in neighbours]
        yield lambda: [look() for look in looks]
