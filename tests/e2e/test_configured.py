# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""A changed configuration file is applied to the running cloud by restarting only what it touches."""

import json
import threading
from datetime import UTC, datetime

import pytest
from tests.e2e.cloud import get

CHANGED = """
[options."keystone/keystone.conf".token]
expiration = 1234
"""
WRONG = """
[network]
external_cdir = "192.0.2.0/24"
private_cidr = "10.20.0.0/33"
[ports]
keystone = "5000"
[options."nova/nova.conf"]
debug = true
"""


@pytest.fixture
def file(tmp_path):
    return tmp_path / "nova-docker.toml"


def _files(cloud) -> dict[str, tuple[int, bytes]]:
    return {
        str(path): (path.stat().st_mtime_ns, path.read_bytes())
        for path in (cloud.root / "etc").rglob("*")
        if path.is_file()
    }


def _minutes_of_a_token(cloud) -> float:
    cloud.forget_connections()
    connection = cloud.connection
    expires = connection.session.auth.get_access(connection.session).expires
    return (expires - datetime.now(UTC)).total_seconds() / 60


class _Watched:
    """Servers that are asked for their page all the time, and how often one did not answer."""

    def __init__(self, servers) -> None:
        self._addresses = [server.address for server in servers]
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._ask)
        self.asked, self.missed = 0, []

    def _ask(self) -> None:
        while not self._end.wait(0.5):
            for address in self._addresses:
                self.asked += 1
                if not get(f"http://{address}/", seconds=20):
                    self.missed.append(address)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_) -> None:
        self._end.set()
        self._thread.join()


def test_one_service_takes_over_an_option_and_gives_it_back(own_cloud, servers, file):
    cloud = own_cloud
    file.write_text(CHANGED)
    before, files, usual = cloud.pids(), _files(cloud), _minutes_of_a_token(cloud)

    told = json.loads(cloud.control("--config", str(file), "up", "--dry-run", "--json").stdout)
    assert [(each["kind"], each["what"], each["name"].rpartition("/")[2]) for each in told] == [
        ("file", "changed", "keystone.conf"),
        ("service", "restart", "keystone"),
    ]
    assert "+expiration = 1234" in told[0]["why"]
    assert told[1]["why"] == ["keystone.conf changes"]
    assert (cloud.pids(), _files(cloud)) == (before, files), "a look changes nothing"

    with _Watched(servers.values()) as watched:
        try:
            cloud.control("--config", str(file), "up")
            changed = cloud.pids()
            assert {name for name, pid in changed.items() if before[name] != pid} == {"keystone"}
            assert 19 < _minutes_of_a_token(cloud) <= 1234 / 60
        finally:
            cloud.control("up")
        back = cloud.pids()
        assert {name for name, pid in back.items() if changed[name] != pid} == {"keystone"}
        assert abs(_minutes_of_a_token(cloud) - usual) < 1
    assert {name: content for name, (_, content) in _files(cloud).items()} == {
        name: content for name, (_, content) in files.items()
    }
    assert watched.asked
    assert not watched.missed, f"of {watched.asked} asked"
    assert "nothing to do" in cloud.control("up").stderr


def test_all_that_is_wrong_is_told_at_once_and_nothing_done(cloud, file):
    file.write_text(WRONG)
    before = cloud.pids()
    refused = cloud.control("--config", str(file), "up", check=False)
    assert refused.returncode == 1
    for path in (
        "network.external_cdir",
        "network.private_cidr",
        "ports.keystone",
        "options.nova/nova.conf.debug",
    ):
        assert path in refused.stderr
    assert cloud.pids() == before


def test_what_holds_from_the_first_up_is_refused_with_what_it_was(cloud, file):
    file.write_text('[network]\nexternal_cidr = "192.0.2.0/24"\n')
    refused = cloud.control("--config", str(file), "up", check=False)
    assert refused.returncode == 1
    assert "external_cidr: 172.24." in refused.stderr
    assert "192.0.2.0/24 now" in refused.stderr
