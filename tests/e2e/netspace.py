# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""A container server's network from within, as only the host's root sees it.

The tenant may not change an address or send what is not its own; these tests have to.
"""

import json
import subprocess
import sys
from typing import Any

from tests.e2e import containers
from tests.e2e.cloud import Cloud

_GET = """
import http.client, sys
host, source = sys.argv[1:]
asked = http.client.HTTPConnection(host, 80, timeout=3, source_address=(source, 0) if source else None)
try:
    asked.request("GET", "/")
    print(asked.getresponse().read().decode())
except OSError:
    pass
"""
# Connects, says so, and asks for the page only when told to.
_CONNECT = """
import http.client, sys
asked = http.client.HTTPConnection(sys.argv[1], 80, timeout=5)
asked.connect()
print("connected", flush=True)
sys.stdin.readline()
try:
    asked.request("GET", "/")
    print(asked.getresponse().status, flush=True)
except OSError as error:
    print(type(error).__name__, flush=True)
"""
_SINK = """
import socket, sys, time
listener = socket.create_server((sys.argv[1], 5001))
listener.settimeout(20)
print("listening", flush=True)
connection, _ = listener.accept()
connection.settimeout(5)
received, began, last = 0, time.monotonic(), time.monotonic()
try:
    while block := connection.recv(65536):
        received, last = received + len(block), time.monotonic()
except OSError:
    pass
print(received * 8 / 1000 / max(last - began, 0.001))
"""
_SOURCE = """
import socket, sys, time
# Its rule may be a moment old, and TCP itself would ask again after 1, 3, 7 and 15 seconds only.
late = time.monotonic() + 20
while True:
    try:
        connection = socket.create_connection((sys.argv[1], 5001), timeout=1)
        break
    except OSError:
        if time.monotonic() > late:
            raise
connection.settimeout(15)
end = time.monotonic() + float(sys.argv[2])
try:
    while time.monotonic() < end:
        connection.send(bytes(16384))
except OSError:
    pass
connection.close()
"""


class Inside:
    """The network namespace of a server."""

    def __init__(self, cloud: Cloud, server_id: str) -> None:
        self._cloud = cloud
        self._id = server_id

    def ip(self, *words: str) -> Any:
        """`ip -json …` in the namespace, parsed; None when it has nothing to say."""
        command = [*self._enter(), "ip", "-json", *words]
        done = subprocess.run(command, check=False, capture_output=True, text=True)
        assert done.returncode == 0, f"{words}: {done.stderr}"
        return json.loads(done.stdout) if done.stdout.strip() else None

    def addresses(self, device: str) -> list[str]:
        """An interface's addresses but its link-local one, with their prefix lengths."""
        (link,) = self.ip("address", "show", "dev", device)
        return [f"{one['local']}/{one['prefixlen']}" for one in link["addr_info"] if one["scope"] == "global"]

    def devices(self) -> dict[str, str]:
        """The interfaces but lo: MAC addresses by name."""
        return {one["ifname"]: one["address"] for one in self.ip("link") if one["ifname"] != "lo"}

    def routes(self, *words: str) -> list[tuple[str, str, str, int]]:
        """Destination, next hop, interface and metric of the main table's routes that are Neutron's."""
        return [
            (one["dst"], one.get("gateway", ""), one["dev"], one.get("metric", 0))
            for one in self.ip(*words, "route", "show", "table", "main")
            if one.get("protocol") == "110"
        ]

    def get(self, host: str, *, source: str = "") -> str:
        """The page of a host as it comes in here, empty if none; `source` is the address to ask from."""
        done = subprocess.run(
            [*self._python(_GET), host, source], check=False, capture_output=True, text=True
        )
        return done.stdout.strip()

    def connect(self, host: str) -> "Connection":
        """A connection to a host's port 80 that is open, and not used yet."""
        return Connection(self._python(_CONNECT), host)

    def receive(self, address: str, *, source: "Inside", seconds: float) -> float:
        """Let another server send here as fast as it can for a while; kbit/s that arrived."""
        with subprocess.Popen([*self._python(_SINK), address], stdout=subprocess.PIPE, text=True) as sink:
            assert sink.stdout is not None
            assert sink.stdout.readline() == "listening\n"
            subprocess.run([*source._python(_SOURCE), address, str(seconds)], check=True, timeout=60)
            return float(sink.stdout.readline())

    def run(self, script: str) -> str:
        """What a shell in the container says."""
        return containers.inside(self._cloud, self._id, script)

    def run_as_tenant(self, script: str) -> str:
        """What a shell says with no more than the server's own process may."""
        return containers.docker(
            self._cloud, "exec", "--user", "0:0", f"nova-{self._id}", "sh", "-c", f"{script} 2>&1 || true"
        )

    def metadata(self) -> Any:
        """What the metadata service tells this server."""
        done = subprocess.run(self._python(_METADATA), check=False, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def _enter(self) -> list[str]:
        return ["nsenter", f"--net={containers.namespaces(self._cloud) / self._id / 'net'}"]

    def _python(self, script: str) -> list[str]:
        return [*self._enter(), sys.executable, "-c", script]


_METADATA = """
import urllib.request
url = "http://169.254.169.254/openstack/latest/meta_data.json"
print(urllib.request.urlopen(url, timeout=10).read().decode())
"""


class Connection:
    """An open connection that asks for the page when told to."""

    def __init__(self, command: list[str], host: str) -> None:
        self._process = subprocess.Popen(
            [*command, host], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "connected\n"

    def ask(self) -> str:
        """The status that comes over it, or the name of the error."""
        said, _ = self._process.communicate("\n", timeout=20)
        return said.strip()
