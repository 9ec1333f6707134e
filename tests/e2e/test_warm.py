# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""A cloud saved while it works, taken away, and loaded on a machine of another name: it works at once.

Whatever test is the first brings one up if there is none; before it, `test_up_again` left the one that an
interrupted `up` made.
"""

import json
import subprocess
import threading
import time
from pathlib import Path

import openstack
import pytest
from openstack.exceptions import SDKException
from tests.e2e import backends
from tests.e2e.cloud import BIN, CONTAINER, WORDS

from novadocker.host.images.build import demo_images

pytestmark = backends.BOTH

NAME = "e2e-warm"
OTHER_HOST = "another-machine"


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """Where the saved cloud lies, and what was true of it when it was saved."""
    return {"file": tmp_path_factory.mktemp("warm") / "cloud.tar.zst"}


class Asking(threading.Thread):
    """A client that asks the APIs all the time."""

    def __init__(self, connection) -> None:
        super().__init__()
        self._connection, self._done = connection, threading.Event()
        self.answers, self.errors, self.longest = 0, [], 0.0

    def run(self) -> None:
        while not self._done.is_set():
            began = time.monotonic()
            try:
                assert self._connection.network.find_network(NAME)
                assert self._connection.compute.find_flavor("m1.tiny")
            except Exception as error:  # noqa: BLE001 - whatever a client is told is what is to be shown
                self.errors.append(error)
            self.answers += 1
            self.longest = max(self.longest, time.monotonic() - began)

    def end(self) -> None:
        self._done.set()
        self.join()


def _secrets(cloud) -> dict[str, str]:
    return json.loads((cloud.root / "data/secrets.json").read_text())


def _keys(cloud) -> set[bytes]:
    return {path.read_bytes() for path in (cloud.root / "data/keystone/fernet-keys").iterdir()}


def _on(cloud, network: str) -> dict[str, object]:
    """Of several networks one is to be named."""
    return {"networks": [{"uuid": cloud.connection.network.find_network(network, ignore_missing=False).id}]}


def _load(cloud, file, *options: str, name: str = OTHER_HOST, check: bool = True):
    words = [BIN / "nova-docker", "--name", cloud.name, *cloud.folders(), "load", *options, file]
    become = ["unshare", "--uts", "sh", "-c", 'hostname "$0" && exec "$@"', name]
    done = subprocess.run([*become, *words], check=False, capture_output=True, text=True, timeout=300)
    assert not check or done.returncode == 0, done.stderr
    cloud.forget_connections()
    return done


def test_a_cloud_with_a_server_is_not_saved(passing_cloud, kept, tmp_path):
    cloud = passing_cloud
    if not cloud.root.exists():
        cloud.control("--config", str(backends.chosen(tmp_path)), "up")
    cloud.forget_connections()
    archive = demo_images(cloud.root / "images").container.read_bytes()
    image = cloud.image(NAME, archive, container_format="docker")
    network = cloud.connection.network.create_network(name=NAME)
    cloud.connection.network.create_subnet(
        name=NAME, network_id=network.id, ip_version=4, cidr="10.77.0.0/24"
    )
    router = cloud.connection.network.create_router(name=NAME)
    assert router.name == NAME
    kept["key"] = cloud.connection.compute.create_keypair(name=NAME).public_key
    kept["own key"] = cloud.connection.compute.find_keypair("nova-docker").public_key
    with cloud.server(NAME, image, **_on(cloud, "private")) as server:
        assert cloud.settled(server).status == "ACTIVE"
        done = cloud.control("save", str(kept["file"]), check=False)
        assert done.returncode == 1
        assert f"{NAME} ({server.id})" in done.stderr
    assert not kept["file"].exists()


def test_a_cloud_that_is_saved_goes_on(passing_cloud, kept):
    cloud = passing_cloud
    kept |= {"secrets": _secrets(cloud), "keys": _keys(cloud), "host": cloud.host}
    before, asking = cloud.pids(), Asking(cloud.connection)
    asking.start()
    try:
        said = cloud.control("save", str(kept["file"])).stderr
    finally:
        asking.end()
    print(said, f"{asking.answers} questions meanwhile, the longest answered after {asking.longest:.1f} s")
    assert asking.answers > 5
    assert not asking.errors
    assert cloud.pids() == before
    assert kept["file"].stat().st_mode & 0o777 == 0o600
    assert kept["file"].stat().st_size < 64 << 20
    assert not list(cloud.root.glob("nova-docker.*"))
    status = cloud.status()
    assert status["healthy"], status["problems"]


def test_what_it_was_saved_from_goes_without_a_rest(passing_cloud):
    passing_cloud.control("down")
    passing_cloud.forget_connections()
    assert not passing_cloud.leftovers()


def test_a_truncated_file_changes_nothing(passing_cloud, kept):
    data = kept["file"].read_bytes()
    cut = kept["file"].with_name("cut.tar.zst")
    cut.write_bytes(data[: len(data) // 2])
    done = _load(passing_cloud, cut, check=False)
    assert done.returncode == 1
    assert "not the whole of a saved cloud" in done.stderr
    assert not passing_cloud.root.exists()
    assert not passing_cloud.leftovers()


def test_a_loaded_cloud_serves_at_once_under_the_names_it_had(passing_cloud, kept):
    cloud = passing_cloud
    began = time.monotonic()
    _load(cloud, kept["file"])
    print(f"load took {time.monotonic() - began:.1f} s")
    image = cloud.connection.image.find_image(NAME)
    assert cloud.connection.network.find_router(NAME)
    began = time.monotonic()
    with cloud.server(NAME, image, key_name=NAME, **_on(cloud, "private")) as server:
        settled = cloud.settled(server)
        print(f"its first server took {time.monotonic() - began:.1f} s")
        assert settled.status == "ACTIVE", settled.fault
        assert WORDS[CONTAINER] in cloud.reachable(server, CONTAINER).page()
    with cloud.server(NAME, image, **_on(cloud, NAME)) as server:
        assert cloud.settled(server).status == "ACTIVE"
    status = cloud.status()
    assert status["healthy"], status["problems"]
    assert {each["host"] for each in status["computes"]} == {kept["host"], f"{kept['host']}-docker"}
    assert "nothing to do" in cloud.control("up").stderr


def test_its_secrets_are_others_and_its_users_keys_are_not(passing_cloud, kept):
    cloud = passing_cloud
    assert not set(_secrets(cloud).values()) & set(kept["secrets"].values())
    assert not _keys(cloud) & kept["keys"]
    keypairs = {pair.name: pair.public_key for pair in cloud.connection.compute.keypairs()}
    assert keypairs[NAME] == kept["key"]
    assert keypairs["nova-docker"] != kept["own key"]
    public = subprocess.run(
        ["ssh-keygen", "-y", "-f", cloud.root / "data/keys/nova-docker"], check=True, capture_output=True
    )
    assert public.stdout.split()[:2] == keypairs["nova-docker"].encode().split()[:2]
    auth = dict(cloud.connection.config.auth)
    with pytest.raises(SDKException, match="401"):
        openstack.connect(
            load_yaml_config=False, load_envvars=False, auth={**auth, "password": kept["secrets"]["admin"]}
        ).authorize()


def test_where_there_is_a_cloud_none_is_loaded(passing_cloud, kept):
    before = passing_cloud.pids()
    done = _load(passing_cloud, kept["file"], check=False)
    assert "There is a cloud" in done.stderr
    assert passing_cloud.pids() == before


def test_a_load_that_was_killed_begins_anew_and_secrets_may_be_kept(passing_cloud, kept):
    cloud = passing_cloud
    cloud.control("down")
    words = [BIN / "nova-docker", "--name", cloud.name, *cloud.folders(), "load", kept["file"]]
    with subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as begun:
        with pytest.raises(subprocess.TimeoutExpired):
            begun.wait(6)
        begun.kill()
    assert Path(cloud.root / "data/arrival.json").exists(), "it was killed while services started"
    _load(cloud, kept["file"], "--keep-secrets")
    assert _secrets(cloud) == kept["secrets"]
    assert cloud.connection.image.find_image(NAME)
    status = cloud.status()
    assert status["healthy"], status["problems"]


def test_down_leaves_nothing_of_a_loaded_cloud(passing_cloud):
    passing_cloud.control("down")
    passing_cloud.forget_connections()
    assert not passing_cloud.leftovers()
