# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""A second docker host for a while: nova-compute, dockerd, Open vSwitch and chassis, in their own namespaces.

Network, mount, process and host name namespaces are its own; of the first host's folders it sees only its own
and OVN's southbound socket, of its network a cable and, on loopback, the APIs and RabbitMQ. The
composer's own declarations are started, for a cloud that lies within the first one's folders and control
group: if this program is killed, the first cloud's `down` ends and removes it all.
"""

import contextlib
import os
import re
import secrets
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from tests.e2e import cable
from tests.e2e import cloud as e2e
from tests.e2e.relay import Relay

from novadocker import files, poll
from novadocker.host import cgroups, probes, render
from novadocker.host import cloud as host_cloud
from novadocker.host.bootstrap import schemas, switch
from novadocker.host.config import HostConfig
from novadocker.host.services import registry
from novadocker.host.services.model import Cloud, Command
from novadocker.host.state import Layout

SERVICES = ("ovsdb", "vswitchd", "ovn-controller", "containerd", "dockerd", "nova-docker")
COMPUTE = "nova-docker"
SPOKEN_TO = ("keystone", "glance", "placement", "neutron", "rabbitmq")

# Run as the init of the new process namespace; $1 root, $2 run folder, both of the first cloud.
_SETTLE = """
set -e
mount -t proc proc /proc
mount -t tmpfs tmpfs /mnt
mkdir /mnt/cgroup /mnt/root /mnt/run /mnt/ovn
mount --rbind /sys/fs/cgroup /mnt/cgroup
mount -t sysfs sysfs /sys
mount --rbind /mnt/cgroup /sys/fs/cgroup
mount --bind "$1/second" /mnt/root
mount --bind "$2/second" /mnt/run
mount --bind "$2/ovn" /mnt/ovn
mount -t tmpfs tmpfs "$1"
mount -t tmpfs -o mode=755 tmpfs "$2"
mkdir "$1/second" "$2/second" "$2/ovn"
mount --bind /mnt/root "$1/second"
mount --bind /mnt/run "$2/second"
mount --bind /mnt/ovn "$2/ovn"
for folder in /run/containerd /run/docker; do mkdir -p $folder; mount -t tmpfs tmpfs $folder; done
mkdir -p "$1/second/data/docker/storage"
mount -o loop,noatime,user_subvol_rm_allowed "$1/second/data/docker/storage.btrfs" \
    "$1/second/data/docker/storage"
hostname "$3"
ip link set lo up
echo ready > "$2/second/settled"
exec tini -s -- sleep infinity
"""


@dataclass(frozen=True)
class _SecondLayout(Layout):
    """Folders of its own within the first cloud's; the southbound database is the first's."""

    first: Layout

    @property
    def ovn_sb_socket(self) -> Path:
        return self.first.ovn_sb_socket


class SecondHost:
    """The host, while it lasts."""

    def __init__(self, first: e2e.Cloud) -> None:
        self.cloud = first
        described = host_cloud.recall(HostConfig(name=first.name, root=first.root, run_dir=first.run_dir))
        assert described is not None
        self._first = described
        layout = _SecondLayout(
            root=first.root / "second", run=first.run_dir / "second", first=described.layout
        )
        config = replace(described.config, name=f"{first.name}/second", root=layout.root, run_dir=layout.run)
        # Never the same name twice: Nova looks at a removed service's record too, and takes its host for
        # dead (nova/compute/api.py, check_instance_host).
        name = f"{described.hostname}-second-{secrets.token_hex(2)}"
        self._second: Cloud = replace(described, config=config, layout=layout, hostname=name)
        declared = registry.services(self._second)
        self._services = {name: declared[name] for name in SERVICES}
        self._mounted = cgroups.hierarchies()
        self._group = self._mounted.follow / config.name
        self._holder = 0
        self._undo = contextlib.ExitStack()

    @property
    def name(self) -> str:
        """What Nova calls it."""
        return self._second.docker_host

    @property
    def chassis(self) -> str:
        """What OVN calls it, and what ports are bound to."""
        return self._second.hostname

    @property
    def run_dir(self) -> Path:
        """Where its sockets are, seen from the first host."""
        return self._second.layout.run

    def start(self, name: str) -> None:
        """Start one of its services, and wait until it is ready."""
        service = self._services[name]
        log = self._second.layout.logs / f"{name}.log"
        with log.open("ab") as out:
            self._enter("sh", str(self._second.layout.etc / "start" / name), wait=False, out=out)
        ready = service.ready
        if isinstance(ready, Command):  # it looks at process ids, which are other ones in there
            ready = Command((*self._inside(), *ready.words), says=ready.says)
        poll.until(lambda: probes.missing(ready), why=f"{name} of the second host", seconds=30)

    def kill(self, name: str) -> None:
        """End one of its services at once, as a crash does."""
        cgroups.kill(self._mounted, name=f"{self._second.config.name}/{name}")

    def reports(self) -> bool:
        """Whether Nova hears of its nova-compute."""
        found = self.cloud.connection.compute.services(host=self.name, binary="nova-compute")
        return any(one.state == "up" for one in found)

    def forced_down(self, down: bool) -> None:
        """Tell Nova that the host is dead (or not), rather than wait until it believes so itself."""
        compute = self.cloud.connection.compute
        (service,) = compute.services(host=self.name, binary="nova-compute")
        compute.update_service_forced_down(service, forced=down)

    @contextlib.contextmanager
    def without(self, name: str) -> Iterator[None]:
        """Let one of the services it speaks to not answer it for a while."""
        port = self._first.config.ports[name]
        self._relay.refused.add(port)
        try:
            yield
        finally:
            self._relay.refused.discard(port)

    def last_words(self) -> str:
        """The ends of its services' logs."""
        logs = sorted(self._second.layout.logs.glob("*.log"))
        return "\n".join(f"{log.name}: {log.read_text(errors='replace')[-2000:]}" for log in logs)

    # Coming and going

    def come(self) -> None:
        """Bring it up; after a failure, `go`."""
        self._write_files()
        self._settle()
        self._relay = Relay(pid=self._holder, ports=[self._first.config.ports[name] for name in SPOKEN_TO])
        self._undo.callback(self._relay.close)
        switch.make_switch_database(self._second)
        self.start("ovsdb")
        self.start("vswitchd")
        self._lay_cable()
        self._describe_chassis()
        for name in ("ovn-controller", "containerd", "dockerd", COMPUTE):
            self.start(name)
        e2e.until(self.reports, seconds=60, why="the second host's nova-compute up")
        schemas.discover_hosts(self._first)
        e2e.until(self._in_placement, seconds=60, why="the second host's capacity in Placement")
        e2e.until(self._known_to_neutron, seconds=30, why="the second chassis known to Neutron")

    def go(self) -> None:
        """End it, and have it forgotten; each step whatever became of those before."""
        self._undo.callback(shutil.rmtree, self._second.layout.root, ignore_errors=True)
        self._undo.callback(shutil.rmtree, self._second.layout.run, ignore_errors=True)
        self._undo.callback(self._forget_service)
        self._undo.callback(self._forget_chassis)
        self._undo.callback(cgroups.remove, self._mounted, name=self._second.config.name)
        self._undo.callback(cgroups.kill, self._mounted, name=self._second.config.name, seconds=20)
        self._undo.close()

    def _forget_service(self) -> None:
        compute = self.cloud.connection.compute
        for service in compute.services(host=self.name):
            compute.delete_service(service)

    def _forget_chassis(self) -> None:
        network = self.cloud.connection.network
        for agent in network.agents(host=self.chassis):
            network.delete_agent(agent)

    # The steps

    def _write_files(self) -> None:
        layout = self._second.layout
        storage = layout.data / "docker" / "storage"
        run = (layout.run, layout.run / "ovn", layout.run / "tmp")
        for folder in (layout.etc / "start", layout.logs, *run, storage):
            files.make_directory(folder)
        (self._group / "holder").mkdir(parents=True, exist_ok=True)
        for name, service in self._services.items():
            (self._group / name).mkdir(exist_ok=True)
            script = render.start_script(self._second, service, group=str(self._group / name))
            for folder in service.folders:
                files.make_directory(folder.path, mode=folder.mode)
            for file in (*service.files, script):
                files.make_directory(file.path.parent)
                # Like any host that is not the controller it has no way to the databases.
                content = re.sub(r"(?m)^connection = mysql.*\n", "", file.content)
                files.write(file.path, content, mode=file.mode)
        disk = storage.with_suffix(".btrfs")
        subprocess.run(["truncate", "--size=8G", disk], check=True)
        subprocess.run(["mkfs.btrfs", "--quiet", disk], check=True, capture_output=True)

    def _settle(self) -> None:
        """Make the namespaces, held by a process that does nothing."""
        layout = self._second.layout
        spaces = ["--net", "--mount", "--propagation", "private", "--pid", "--uts", "--fork", "--kill-child"]
        script = f'echo $$ > "{self._group}/holder/cgroup.procs"; exec unshare "$@"'
        program = [
            "sh",
            "-c",
            _SETTLE,
            "settle",
            self._first.layout.root,
            self._first.layout.run,
            self.chassis,
        ]
        with (layout.logs / "settle.log").open("wb") as out:
            outer = subprocess.Popen(
                ["sh", "-ec", script, "unshare", *spaces, *program], stdout=out, stderr=out
            )
        self._undo.callback(outer.wait, 20)
        settled = layout.run / "settled"
        poll.until(
            lambda: None if settled.exists() else (layout.logs / "settle.log").read_text() or "not yet",
            why="The second host's namespaces",
            seconds=10,
            pause=0.02,
        )
        (self._holder,) = map(int, _children(outer.pid))

    def _lay_cable(self) -> None:
        vsctl = ["ovs-vsctl", f"--db=unix:{self._second.layout.ovs_socket}"]
        cable.lay(self._first, pid=self._holder, vsctl=vsctl, enter=self._enter, undo=self._undo)

    def _describe_chassis(self) -> None:
        """As the composer does for its own, but without a way out: routers stay on the first host."""
        told = cable.describe_chassis(
            name=self.chassis,
            remote=f"unix:{self._second.layout.ovn_sb_socket}",
            bridge=self._second.config.integration_bridge,
            datapath=self._second.datapath,
        )
        vsctl = ["ovs-vsctl", f"--db=unix:{self._second.layout.ovs_socket}"]
        subprocess.run([*vsctl, *told], check=True)

    def _inside(self) -> list[str]:
        return ["nsenter", f"--target={self._holder}", "--net", "--mount", "--pid", "--uts", "--"]

    def _enter(self, *words: str, wait: bool = True, out=None) -> None:
        command = [*self._inside(), *words]
        if wait:
            subprocess.run(command, check=True)
            return
        # What is killed leaves its temporary folders behind, where they go with the host.
        environment = {**os.environ, "TMPDIR": str(self.run_dir / "tmp")}
        process = subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stdout=out, stderr=out)
        self._undo.callback(process.wait, 20)

    def _in_placement(self) -> bool:
        found = self.cloud.connection.compute.hypervisors(details=True)
        return any(one.name == self.name and one.state == "up" for one in found) and any(
            provider.name == self.name for provider in self.cloud.connection.placement.resource_providers()
        )

    def _known_to_neutron(self) -> bool:
        return any(agent.is_alive for agent in self.cloud.connection.network.agents(host=self.chassis))


def second_host(first: e2e.Cloud) -> contextlib.AbstractContextManager[SecondHost]:
    """A second host that is gone afterwards."""
    return cable.for_a_while(SecondHost(first))


def _children(pid: int) -> list[str]:
    return re.findall(r"\d+", Path(f"/proc/{pid}/task/{pid}/children").read_text())


if __name__ == "__main__":
    name = os.environ.get("NOVA_DOCKER_CLOUD", "nova-docker")
    with second_host(
        e2e.Cloud(name=name, root=Path("/var/lib") / name, run_dir=Path("/run") / name)
    ) as found:
        input(f"{found.name} is up; Return takes it down. ")
