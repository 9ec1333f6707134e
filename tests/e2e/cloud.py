# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""A real cloud as the end-to-end tests use it: by the clients a user has, from outside."""

import json
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
import xmlrpc.client
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import openstack
from keystoneauth1.exceptions import ClientException
from openstack.exceptions import SDKException
from supervisor.xmlrpc import SupervisorTransport

BIN = Path(sys.executable).parent
REPOSITORY = Path(__file__).resolve().parents[2]
LEFTOVERS = Path(__file__).with_name("leftovers.py")
CONTAINER, MACHINE = "container", "machine"
KINDS = (CONTAINER, MACHINE)
# What each kind's page says, and no other's.
WORDS = {CONTAINER: "Congratulations", MACHINE: "virtual machine"}


def until(ask: Callable[[], Any], *, seconds: float, why: str) -> Any:
    """What `ask` answers, once it is something; every test's wait ends."""
    deadline = time.monotonic() + seconds
    while not (answer := ask()):
        assert time.monotonic() < deadline, f"{why}: not after {seconds} s"
        time.sleep(0.2)
    return answer


def get(url: str, *, seconds: float = 3) -> str:
    """A page; empty if there is none within `seconds`."""
    try:
        with urllib.request.urlopen(url, timeout=seconds) as answer:
            return answer.read().decode()
    except OSError:
        return ""


@dataclass
class Running:
    """A server with a floating IP."""

    id: str
    name: str
    kind: str
    address: str  # floating
    fixed: str

    def page(self, *, seconds: float = 60) -> str:
        """Its page, waited for."""
        return until(lambda: get(f"http://{self.address}/"), seconds=seconds, why=f"the page of {self.name}")

    def fetch(self, url: str) -> str:
        """What this server gets from `url`, by TCP from inside; empty if nothing."""
        return get(f"http://{self.address}/cgi-bin/fetch?{url}", seconds=10)


@dataclass
class Cloud:
    """The cloud under test: `name` is its entry in clouds.yaml."""

    name: str
    root: Path
    run_dir: Path
    snapshot: Path | None = None
    ours: bool = False
    neighbours: Callable[[], object] = lambda: None  # a look at a user's own programs
    neighbours_before: object = None
    connections: dict[str, Any] = field(default_factory=dict)

    @property
    def connection(self) -> Any:
        """As the administrator."""
        return self.connect(self.name)

    @property
    def host(self) -> str:
        """The name of the machine's chassis and of its libvirt service."""
        return socket.gethostname()

    @property
    def docker_host(self) -> str:
        """The name of the docker service."""
        return f"{self.host}-docker"

    def connect(self, name: str) -> Any:
        """A connection by an entry of clouds.yaml."""
        if name not in self.connections:
            self.connections[name] = openstack.connect(cloud=name)
        return self.connections[name]

    @property
    def supervisor(self) -> Any:
        """The supervisor of the services, by its own interface."""
        transport = SupervisorTransport(serverurl=f"unix://{self.run_dir}/supervisor.sock")
        return xmlrpc.client.ServerProxy("http://supervisor", transport).supervisor

    def forget_connections(self) -> None:
        """After a cloud came anew: its passwords and ports may be others."""
        for connection in self.connections.values():
            connection.close()
        self.connections.clear()

    # Commands

    def command(self, *words: str, check: bool = True, seconds: float = 300, environment=None) -> Any:
        """Run one of the programs beside this Python."""
        done = subprocess.run(
            [BIN / words[0], *words[1:]],
            env={**os.environ, "PATH": f"{BIN}:{os.environ['PATH']}", **(environment or {})},
            check=False,
            capture_output=True,
            text=True,
            timeout=seconds,
        )
        assert not check or done.returncode == 0, (
            f"{words} ended with {done.returncode}:\n{done.stdout}{done.stderr}"
        )
        return done

    def control(self, *words: str, check: bool = True, seconds: float = 600) -> Any:
        """`nova-docker …` for this cloud."""
        where = ("--name", self.name, "--root", str(self.root), "--run-dir", str(self.run_dir))
        return self.command("nova-docker", *where, *words, check=check, seconds=seconds)

    def openstack(self, *words: str, member: bool = False) -> Any:
        """`openstack … -f json`, parsed."""
        name = f"{self.name}-member" if member else self.name
        return json.loads(self.command("openstack", "--os-cloud", name, *words, "-f", "json").stdout)

    def nova(self, *words: str, member: bool = False, check: bool = True) -> Any:
        """The article's client, with the environment that `nova-docker env` gives."""
        exports = self.control("env", *(["--member"] if member else [])).stdout
        script = f'{exports}\nexec "{BIN}/nova" "$@"'
        # What it keeps for a shell's completion does not belong in the home of who tests.
        with tempfile.TemporaryDirectory() as seen:
            environment = {**os.environ, "NOVACLIENT_UUID_CACHE_DIR": seen}
            done = subprocess.run(
                ["bash", "-c", script, "nova", *words],
                check=False, capture_output=True, text=True, env=environment,
            )  # fmt: skip
        assert not check or done.returncode == 0, done.stderr
        return done

    def status(self) -> Any:
        """`nova-docker status --json`."""
        return json.loads(self.control("status", "--json", check=False).stdout)

    def story(self) -> str:
        """What `make demo` for this cloud prints, once it has come to its end."""
        script = [sys.executable, REPOSITORY / "demo" / "story.py", "--cloud", self.name, *self.folders()]
        told = subprocess.run(script, check=False, capture_output=True, text=True, timeout=300)
        assert told.returncode == 0, told.stdout + told.stderr
        return told.stdout

    @contextmanager
    def configured(
        self, file: str, options: Mapping[str, Mapping[str, Any]], *, restart: Sequence[str]
    ) -> Iterator[None]:
        """Run services with other options for a while: `file` is a path below etc, as `nova/nova.conf`.

        The options stand in a second section of the same name, which oslo.config reads as one with the first.
        Afterwards the file is as before, and so are the services.
        """
        path = self.root / "etc" / file
        before = path.read_text()
        more = [f"[{section}]\n" + "".join(f"{key} = {value}\n" for key, value in chosen.items())
                for section, chosen in options.items()]  # fmt: skip
        path.write_text(before + "\n" + "\n".join(more))
        try:
            self.restart(*restart)
            yield
        finally:
            path.write_text(before)
            self.restart(*restart)

    def restart(self, *services: str) -> None:
        """Restart services, and wait until they work: APIs answer, computes have reported anew."""
        for name in services:
            self.supervisor.stopProcess(name)
        # Whole seconds are kept: in this one the service that has ended may have reported, too. A server that
        # is asked for before the new one listens is found half built by it, and ends.
        ended = datetime.now(UTC).replace(tzinfo=None, microsecond=0)
        for name in services:
            self.supervisor.startProcess(name)
        hosts = {"nova-docker": self.docker_host, "nova-libvirt": self.host}
        waited_for = {hosts[name] for name in services if name in hosts}

        def reported() -> bool:
            try:
                found = list(self.connection.compute.services(binary="nova-compute"))
            except (SDKException, ClientException):  # the API itself is on its way
                return False
            fresh = {one.host for one in found if datetime.fromisoformat(one.updated_at) > ended}
            return waited_for <= fresh

        until(reported, seconds=60, why=f"{', '.join(services)} work again")

    def pids(self) -> dict[str, int]:
        """The process of each supervised service."""
        return {service["name"]: service["pid"] for service in self.status()["services"]}

    def leftovers(self, *options: str) -> str:
        """What differs from the machine before `up`; empty if nothing.

        NOVA_DOCKER_LEFTOVERS_IGNORE holds a pattern for machines on which others work at the same time.
        """
        pattern = os.environ.get("NOVA_DOCKER_LEFTOVERS_IGNORE")
        words = [
            sys.executable,
            LEFTOVERS,
            "compare",
            self.snapshot,
            "--settle",
            "5",
            *self.folders(),
            *options,
        ]
        words += ["--ignore", pattern] if pattern else []
        done = subprocess.run(words, check=False, capture_output=True, text=True)
        assert done.returncode in (0, 1), done.stderr
        return done.stdout if done.returncode else ""

    def folders(self) -> list[str]:
        """Where the cloud lies, as the script is told."""
        return ["--root", str(self.root), "--run-dir", str(self.run_dir)]

    def console(self, server_id: str) -> str:
        """What a server printed so far; empty while there is none."""
        said = self.connection.compute.get_server_console_output(server_id)
        return (said or {}).get("output") or ""

    # Servers

    def image(self, name: str, data: bytes, *, container_format: str, member: bool = False) -> Any:
        """An image in Glance of this name, uploaded if it is not there."""
        glance = self.connect(f"{self.name}-member" if member else self.name).image
        found = glance.find_image(name)
        return found or glance.create_image(
            name, data=data, container_format=container_format, disk_format="raw"
        )

    def create(
        self, name: str, image: Any, *, flavor: str = "m1.tiny", groups: tuple[str, ...] = (), **more
    ) -> Any:
        """Ask for a server."""
        compute = self.connection.compute
        options = {"security_groups": [{"name": group} for group in groups]} if groups else {}
        return compute.create_server(
            name=name,
            image_id=image.id,
            flavor_id=compute.find_flavor(flavor, ignore_missing=False).id,
            **{"networks": "auto", **options, **more},
        )

    def settled(self, server: Any, *, seconds: float = 90) -> Any:
        """The server once it is neither being built nor worked on."""

        def ask():
            now = self.connection.compute.get_server(server.id)
            return now if now.status != "BUILD" and not now.task_state else None

        return until(ask, seconds=seconds, why=f"server {server.name} settled")

    def becomes(self, server_id: str, status: str, *, seconds: float = 60) -> Any:
        """The server once it has this status."""

        def ask():
            now = self.connection.compute.get_server(server_id)
            return now if now.status == status and not now.task_state else None

        return until(ask, seconds=seconds, why=f"server {server_id} {status}")

    def reachable(self, server: Any, kind: str) -> Running:
        """An active server, with a floating IP of its own."""
        network = self.connection.network
        (port,) = network.ports(device_id=server.id)
        public = network.find_network("public", ignore_missing=False)
        address = network.create_ip(floating_network_id=public.id, port_id=port.id)
        return Running(
            id=server.id,
            name=server.name,
            kind=kind,
            address=address.floating_ip_address,
            fixed=port.fixed_ips[0]["ip_address"],
        )

    def remove(self, server_id: str, *, seconds: float = 60) -> None:
        """Delete a server and its floating IPs, and see that it and its ports have gone."""
        network = self.connection.network
        ports = [port.id for port in network.ports(device_id=server_id)]
        for address in [each for port in ports for each in network.ips(port_id=port)]:
            network.delete_ip(address)
        self.connection.compute.delete_server(server_id)
        until(
            lambda: self.connection.compute.find_server(server_id, ignore_missing=True) is None,
            seconds=seconds,
            why=f"server {server_id} gone",
        )
        assert list(network.ports(device_id=server_id)) == []

    @contextmanager
    def server(self, name: str, image: Any, **more) -> Iterator[Any]:
        """A server that is gone afterwards."""
        server = self.create(name, image, **more)
        try:
            yield server
        finally:
            if self.connection.compute.find_server(server.id, ignore_missing=True):
                self.remove(server.id)
