# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""A user's own Docker and libvirt on the machine, in their usual places, each with something running.

dockerd makes its bridge and sets the FORWARD policy to DROP, as it does on any machine: the servers are
reached, and reach out, beside it.
"""

import json
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

import psutil
from tests.e2e.cloud import until

from novadocker.host.images import container

DOCKER = ("docker", "-H", "unix:///run/docker.sock")
VIRSH = ("virsh", "-q", "-c", "qemu:///system?socket=/run/libvirt/libvirt-sock")
NAME = "ndk-neighbour"
DOMAIN = f"""
<domain type='qemu'><name>{NAME}</name><memory unit='MiB'>16</memory>
<os><type arch='x86_64'>hvm</type></os></domain>
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
def _rules() -> Iterator[None]:
    """Put the firewall back as it was: dockerd leaves its rules."""
    before = said("iptables-save") + "\n"
    chains = {
        "filter": ("INPUT", "FORWARD", "OUTPUT"),
        "nat": ("PREROUTING", "INPUT", "OUTPUT", "POSTROUTING"),
    }
    for table, names in chains.items():
        if f"*{table}\n" not in before:
            before += f"*{table}\n" + "".join(f":{name} ACCEPT [0:0]\n" for name in names) + "COMMIT\n"
    yield
    subprocess.run(["iptables-restore"], input=before, text=True, check=True)


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
        _rules(),
        _daemon(*command, log=place / "docker.log", ready=partial(_answers, door)),
    ):
        archive = container.archive(Path("/bin/busybox").read_bytes(), name="ndk/neighbour")
        subprocess.run([*DOCKER, "load", "-q"], input=archive, check=True, capture_output=True)
        said(*DOCKER, "run", "-d", "--name", NAME, "ndk/neighbour")
        try:
            yield lambda: [
                said(*DOCKER, "inspect", "-f", "{{.State.Pid}} {{.State.StartedAt}}", NAME),
                said(*DOCKER, "ps", "-aq"),
                said(*DOCKER, "images", "-q"),
                [link.get("addr_info") for link in json.loads(said("ip", "-j", "a", "show", "docker0"))],
            ]
        finally:
            said(*DOCKER, "rm", "-f", NAME)
    said("ip", "link", "delete", "docker0")


@contextmanager
def libvirt(place: Path) -> Iterator[Callable[[], object]]:
    """The user's libvirtd with a domain; gives what is to stay as it is."""
    settings, domain = place / "libvirtd.conf", place / "domain.xml"
    settings.write_text('auth_unix_rw = "none"\nlog_level = 4\n')
    domain.write_text(DOMAIN)
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
        said(*VIRSH, "create", str(domain))
        try:
            yield lambda: [
                said(*VIRSH, "list", "--all"),
                said(*VIRSH, "domuuid", NAME),
                said(*VIRSH, "net-list"),
            ]
        finally:
            said(*VIRSH, "destroy", NAME)


@contextmanager
def both() -> Iterator[Callable[[], object]]:
    """Both; gives a look at them, to be compared with an earlier one."""
    place = Path(tempfile.mkdtemp(prefix="ndk-neighbours-"))
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, place, ignore_errors=True)
        looks = [stack.enter_context(docker(place)), stack.enter_context(libvirt(place))]
        yield lambda: [look() for look in looks]
