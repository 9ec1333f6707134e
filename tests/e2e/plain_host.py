# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""A compute host as an operator has it before he knows of us: Nova from pip, a chassis, no composer.

It is a machine of namespaces, with an /etc, /run, /var/lib and /var/log of its own; of the cloud it sees
OVN's southbound socket, a cable, and on loopback the APIs and RabbitMQ. If this program is killed, the
cloud's `down` ends and removes it all.
"""

import configparser
import contextlib
import os
import re
import secrets
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from tests.e2e import cable
from tests.e2e import cloud as e2e
from tests.e2e.relay import Relay

from novadocker import files, poll
from novadocker.host import cgroups
from novadocker.host import cloud as host_cloud
from novadocker.host.config import HostConfig

SPOKEN_TO = ("keystone", "glance", "placement", "neutron", "rabbitmq")
SWITCH = "/run/openvswitch/db.sock"
# Where the machine's own init keeps itself, see units.py.
INIT = "/run/init"
PROGRAMS = f"{INIT}:/usr/sbin:/usr/bin:/sbin:/bin"
# What an operator's nova.conf says that is the same on all his compute hosts.
SECTIONS = ("service_user", "placement", "glance", "neutron", "oslo_messaging_rabbit")

# Run as the init of the new process namespace; $1 the machine's folder, $2 OVN's run folder, $3 its name.
_SETTLE = """
set -e
mount -t proc proc /proc
mount -t tmpfs tmpfs /mnt
mkdir /mnt/var-lib /mnt/ovn /mnt/run /mnt/log
cp -a /etc /mnt/etc
mount --bind "$1/var-lib" /mnt/var-lib
mount --bind "$2" /mnt/ovn
mount -t sysfs sysfs /sys
{groups}
mount --bind /mnt/etc /etc
mount --bind /mnt/log /var/log
mount -t tmpfs -o mode=755 tmpfs /run
mkdir /run/southbound /run/openvswitch /run/ovn /run/lock /run/init
mount --bind /mnt/ovn /run/southbound
mount --bind /mnt/var-lib /var/lib
hostname "$3"
ip link set lo up
touch /var/lib/settled
exec tini -s -- sleep infinity
"""


class PlainHost:
    """The machine, while it lasts."""

    def __init__(self, first: e2e.Cloud) -> None:
        self.cloud = first
        described = host_cloud.recall(HostConfig(name=first.name, root=first.root, run_dir=first.run_dir))
        assert described is not None
        self._first = described
        # Never the same name twice: Nova looks at a removed service's record, too.
        self.name = f"plain-{secrets.token_hex(2)}"
        self._folder = described.layout.root / "plain"
        self._log = self._folder / "log"
        self._mounted = cgroups.hierarchies()
        self._group = f"{described.config.name}/plain"
        self._holder = 0
        self._undo = contextlib.ExitStack()

    def path(self, inside: str) -> Path:
        """A file of the machine, seen from here."""
        return Path(f"/proc/{self._holder}/root{inside}")

    def shell(self, line: str, *, environment: Mapping[str, str] | None = None, check: bool = True) -> str:
        """What a shell of its root says."""
        command = [*self._enter(), "sh", "-c", f"cd {self.rendered} && {line}"]
        done = subprocess.run(
            command,
            env={"PATH": PROGRAMS, "HOME": "/var/lib/root", "TMPDIR": "/run", **(environment or {})},
            check=False,
            capture_output=True,
            text=True,
            timeout=180,
        )
        assert not check or done.returncode == 0, f"{line}: {done.stdout}{done.stderr}\n{self.last_words()}"
        return done.stdout

    rendered = "/var/lib/rendered"

    def last_words(self) -> str:
        """The ends of its logs."""
        logs = [
            self._log,
            *sorted(self.path("/var/log").glob("*.log")),
            *self.path("/var/log/nova").glob("*.log"),
        ]
        return "\n".join(
            f"{log.name}: {log.read_text(errors='replace')[-2500:]}" for log in logs if log.is_file()
        )

    # Coming and going

    def come(self) -> None:
        """Bring it up; after a failure, `go`."""
        for folder in ("var-lib/rendered", "var-lib/root", "var-lib/nova"):
            files.make_directory(self._folder / folder)
        self._settle()
        ports = [self._first.config.ports[name] for name in SPOKEN_TO]
        relay = Relay(pid=self._holder, ports=ports)
        self._undo.callback(relay.close)
        self._become_chassis()
        self._write_nova_conf()
        shutil.copy(Path(__file__).with_name("units.py"), self.path(f"{INIT}/systemctl"))
        self.path(f"{INIT}/systemctl").chmod(0o755)

    def go(self) -> None:
        """End it, and have it forgotten; each step whatever became of those before."""
        self._undo.callback(shutil.rmtree, self._folder, ignore_errors=True)
        self._undo.callback(self._forget)
        self._undo.callback(cgroups.remove, self._mounted, name=self._group)
        self._undo.callback(cgroups.kill, self._mounted, name=self._group, seconds=20)
        self._undo.close()

    def _forget(self) -> None:
        """What a test that ended early leaves in the cloud."""
        compute, network = self.cloud.connection.compute, self.cloud.connection.network
        for service in compute.services():
            if service.host.startswith(self.name):
                compute.delete_service(service)
        for agent in network.agents(host=self.name):
            network.delete_agent(agent)

    # The steps

    def _settle(self) -> None:
        groups = [mount / self._group / "init" for mount in self._mounted.mounts]
        for group in groups:
            _make_group(group)
        join = "".join(f'echo $$ > "{group}/cgroup.procs"; ' for group in groups)
        # The new control group namespace begins at the group its maker is in, one above.
        above = join.replace("/init/cgroup.procs", "/cgroup.procs")
        spaces = "--net --mount --propagation private --pid --uts --cgroup --fork --kill-child"
        self._join = f'{join} exec "$@"'
        settle = _SETTLE.replace("{groups}", "\n".join(_group_mounts()))
        self._folder.mkdir(parents=True, exist_ok=True)
        with self._log.open("wb") as out:
            outer = subprocess.Popen(
                ["sh", "-ec", f'{above} exec unshare {spaces} "$@"', "unshare", "sh", "-c", settle, "settle",
                 self._folder, self._first.layout.run / "ovn", self.name],
                stdout=out, stderr=out,
            )  # fmt: skip
        self._undo.callback(outer.wait, 20)
        settled = self._folder / "var-lib/settled"
        poll.until(
            lambda: None if settled.exists() else self._log.read_text() or "not yet",
            why="The plain host's namespaces",
            seconds=20,
            pause=0.02,
        )
        (children,) = Path(f"/proc/{outer.pid}/task").glob("*/children")
        (self._holder,) = map(int, children.read_text().split())

    def _become_chassis(self) -> None:
        """A stock Open vSwitch and OVN, at the places of the packages."""
        self.shell(
            "mkdir /var/lib/openvswitch && "
            "ovsdb-tool create /var/lib/openvswitch/conf.db /usr/share/openvswitch/vswitch.ovsschema"
        )
        self._start("ovsdb-server", "/var/lib/openvswitch/conf.db", f"--remote=punix:{SWITCH}")
        e2e.until(self.path(SWITCH).exists, seconds=20, why="the plain host's ovsdb-server")
        self._enter_and_run("ovs-vsctl", "--no-wait", "init")
        self._start("ovs-vswitchd", f"unix:{SWITCH}")
        cable.lay(
            self._first, pid=self._holder, vsctl=["ovs-vsctl"], enter=self._enter_and_run, undo=self._undo
        )
        told = cable.describe_chassis(
            name=self.name,
            remote=f"unix:/run/southbound/{self._first.layout.ovn_sb_socket.name}",
            bridge="br-int",
            datapath=self._first.datapath,
        )
        self._enter_and_run("ovs-vsctl", *told)
        self._start("ovn-controller", f"unix:{SWITCH}")
        network = self.cloud.connection.network
        e2e.until(
            lambda: any(agent.is_alive for agent in network.agents(host=self.name)),
            seconds=30,
            why="the plain host's chassis known to Neutron",
        )

    def _write_nova_conf(self) -> None:
        """As on any compute host of this cloud; and what a nova-compute of earlier left beside it."""
        known = configparser.ConfigParser(interpolation=None, strict=False)
        known.optionxform = str
        known.read(self.cloud.root / "etc/nova/nova.conf")
        usual = configparser.ConfigParser(interpolation=None)
        usual["DEFAULT"] = {
            "host": self.name,
            "my_ip": "127.0.0.1",
            "transport_url": known["DEFAULT"]["transport_url"],
            "state_path": "/var/lib/nova",
            "log_dir": "/var/log/nova",
            # A test does not wait three minutes for its end.
            "graceful_shutdown_timeout": "8",
            "manager_shutdown_timeout": "5",
        }
        for section in SECTIONS:
            usual[section] = {
                key: value for key, value in known[section].items() if key not in known.defaults()
            }
        folder = self.path("/etc/nova")
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        self.path("/var/log/nova").mkdir()
        with (folder / "nova.conf").open("w") as file:
            usual.write(file)
        shutil.copy(self.cloud.root / "etc/nova/nova.conf", folder / "scheduler.conf")
        (folder / "compute_id").write_text("5f9e7c1a-3f0b-4c61-9b0e-2f8f5f0c7d11\n")

    def _enter(self) -> list[str]:
        spaces = ["--net", "--mount", "--pid", "--uts", "--cgroup"]
        return ["sh", "-ec", self._join, "join", "nsenter", f"--target={self._holder}", *spaces, "--"]

    def _enter_and_run(self, *words: str) -> None:
        subprocess.run([*self._enter(), *words], check=True)

    def _start(self, program: str, *words: str) -> None:
        with (self._folder / f"{program}.log").open("ab") as out:
            process = subprocess.Popen(
                [*self._enter(), program, *words], stdin=subprocess.DEVNULL, stdout=out, stderr=out
            )
        self._undo.callback(process.wait, 20)


def plain_host(first: e2e.Cloud) -> contextlib.AbstractContextManager[PlainHost]:
    """A plain host that is gone afterwards."""
    return cable.for_a_while(PlainHost(first))


def _make_group(group: Path) -> None:
    """A control group; a new one of the first version's cpuset has no processors of itself."""
    for folder in [*reversed(group.parents), group]:
        if folder.is_dir():
            continue
        folder.mkdir()
        for name in ("cpuset.cpus", "cpuset.mems"):
            if (folder / name).exists():
                (folder / name).write_text((folder.parent / name).read_text())


def _group_mounts() -> Iterator[str]:
    """Shell lines that mount this machine's control groups anew, as a new namespace sees them."""
    places = []
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        before, _, after = line.partition(" - ")
        kind, _, options = after.split()
        if kind in ("cgroup", "cgroup2"):
            chosen = [word for word in options.split(",") if word not in ("rw", "ro", "xattr")]
            which = f"-o {','.join(chosen)}" if kind == "cgroup" else ""
            places.append((before.split()[4], f"mount -t {kind} {which} {kind}"))
    if len(places) > 1 or not places[0][0].endswith("/cgroup"):
        yield "mount -t tmpfs tmpfs /sys/fs/cgroup"
    for place, mount in dict(places).items():
        yield f"mkdir -p {place}; {mount} {place}"


def pip(*words: str | Path) -> None:
    """uv's pip, in the plain environment."""
    python = e2e.REPOSITORY / "build/plain/bin/python"
    uv = Path(sys.executable).with_name("uv")
    done = subprocess.run(
        [uv, "pip", words[0], "--quiet", "--offline", "--python", python, *words[1:]],
        check=False, capture_output=True, text=True, env={**os.environ, "VIRTUAL_ENV": ""},
    )  # fmt: skip
    assert done.returncode == 0 or re.search("not installed|No packages", done.stderr), done.stderr
