# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""A key manager beside the cloud, for as long as a test needs one: Barbican behind the cloud's Keystone."""

import base64
import os
import secrets
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.e2e.cloud import REPOSITORY, get, until

# Nova and Barbican both parse the command line; waitress serves either (see novadocker.programs.wsgi).
SERVE = """
import sys
from paste import deploy
import waitress
paste, port = sys.argv[1:]
sys.argv = ["barbican-api"]
waitress.serve(deploy.loadapp("config:" + paste), host="127.0.0.1", port=int(port), threads=4)
"""
SETTINGS = """
[DEFAULT]
host_href = {url}
log_file = {place}/log
db_auto_create = True
[database]
connection = sqlite:///{place}/barbican.sqlite
[queue]
enable = False
[secretstore]
enabled_secretstore_plugins = store_crypto
[crypto]
enabled_crypto_plugins = simple_crypto
[simple_crypto_plugin]
kek = {key}
[keystone_authtoken]
{authtoken}
"""


@dataclass(frozen=True)
class KeyManager:
    """Where it answers, and as whom a test speaks to it."""

    url: str
    connection: Any

    def keep(self, certificate: bytes) -> str:
        """Keep a certificate; returns its id."""
        secret = {
            "name": "e2e-certificate",
            "secret_type": "certificate",
            "payload": base64.b64encode(certificate).decode(),
            "payload_content_type": "application/octet-stream",
            "payload_content_encoding": "base64",
        }
        answer = self.connection.session.post(f"{self.url}/v1/secrets", json=secret)
        return str(answer.json()["secret_ref"].rpartition("/")[2])


@contextmanager
def running(cloud, place: Path) -> Iterator[KeyManager]:
    """Run it, in the environment that `make/environment keys` makes."""
    subprocess.run([REPOSITORY / "make/environment", "keys"], check=True)
    python = REPOSITORY / "build/keys/bin/python"
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    glance = (cloud.root / "etc/glance/glance-api.conf").read_text()
    authtoken = glance.partition("[keystone_authtoken]\n")[2].partition("\n[")[0]
    key = base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()
    settings = place / ".barbican/barbican.conf"  # one of the places oslo.config looks in
    settings.parent.mkdir()
    settings.write_text(SETTINGS.format(url=url, place=place, key=key, authtoken=authtoken))
    paste = REPOSITORY / "build/keys/etc/barbican/barbican-api-paste.ini"
    with (place / "output").open("wb") as output:
        process = subprocess.Popen(
            [python, "-c", SERVE, paste, url.rpartition(":")[2]],
            env={**os.environ, "HOME": str(place)},
            cwd=place,
            stdout=output,
            stderr=output,
        )
    try:
        until(
            lambda: process.poll() is not None or get(f"{url}/healthcheck"),
            seconds=60,
            why="Barbican answers",
        )
        assert process.poll() is None, (place / "output").read_text()[-3000:]
        yield KeyManager(url=url, connection=cloud.connection)
    finally:
        process.terminate()
        process.wait(20)
