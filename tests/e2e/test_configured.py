# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""A changed configuration file is applied to the running cloud by restarting only what it touches."""

import json
import threading
from datetime import UTC, datetime

import openstack
import pytest
from openstack.exceptions import ForbiddenException
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


def test_suites_made_for_devstack_find_who_they_look_for(own_cloud, servers, file):
    """On request, without a restart; each with the rights that its name promises, and no more."""
    cloud = own_cloud
    names = ("devstack", "devstack-alt", "devstack-admin", "devstack-system-admin")
    before = cloud.pids()
    file.write_text("[clients]\ndevstack = true\n")
    cloud.control("--config", str(file), "up")
    try:
        found = {name: openstack.connect(cloud=name) for name in names}
        demo, alternative, administrator, system = found.values()
        scopes = {name: each.session.auth.get_access(each.session) for name, each in found.items()}
        assert [scope.project_name for scope in scopes.values()] == ["demo", "alt_demo", "admin", None]
        assert [scope.system_scoped for scope in scopes.values()] == [False, False, False, True]
        roles = [set(scope.role_names) for scope in scopes.values()]
        assert ["admin" in each for each in roles] == [False, False, True, True]
        assert "member" in roles[0] & roles[1]

        for each in (demo, alternative):
            with pytest.raises(ForbiddenException):
                list(each.compute.hypervisors())
            with pytest.raises(ForbiddenException):
                list(each.identity.projects())
            group = each.network.create_security_group(name="e2e-devstack")
            each.network.delete_security_group(group)
        ours = {server.id for server in servers.values()}
        assert ours <= {server.id for server in demo.compute.servers()}
        assert not ours & {server.id for server in alternative.compute.servers()}
        assert ours <= {server.id for server in administrator.compute.servers(all_projects=True)}
        assert {each.name for each in administrator.compute.hypervisors()} == {cloud.host, cloud.docker_host}
        assert {"demo", "alt_demo", "admin"} <= {each.name for each in system.identity.projects()}
        assert {each.type for each in system.identity.services()} >= {"compute", "network"}
    finally:
        cloud.control("up")
    known = openstack.config.OpenStackConfig().get_cloud_names()
    assert cloud.name in known
    assert not set(names) & set(known)
    assert cloud.pids() == before


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
