# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""What a server is given: name, keypair, user data, config drive, files, password, and what it is to run.

One server is given all of it. What it finds it prints when it begins, so that its console log tells of every
beginning: the first, the one after a hard reboot, and the one in a container made again.
"""

import base64
import json
import re
import subprocess

import openstack
import pytest
from tests.e2e.cloud import CONTAINER, get, until
from tests.e2e.containers import lose_namespaces

from novadocker.virt.docker import accounts

USER_DATA = b"#!/bin/sh\necho 'user data'\n"
PASSWORD, CHANGED = "first Passw0rd", "anöther"
MOTD = b"from a file\n"
# Debian's form of an account database, which the demo image itself lacks.
SHADOW = b"root:*:19000:0:99999:7:::\nweb:!:19000:0:99999:7:::\n"
# `tell NAME COMMAND…` prints what a command says on one line.
BEGIN = r"""
tell() { name=$1; shift; echo "@$name@$("$@" 2>&1)"; }
service() {
    # (Not `wget -T 3`: that crashes in Debian 12's busybox-static.)
    # The first port of a network on this host brings the service up.
    for try in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15; do
        timeout 5 wget -q -O - "http://169.254.169.254/$1" 2>/dev/null && return
        sleep 1
    done
}
tell hostname hostname
tell id id -u
tell place pwd
tell environment echo "$A|$B|$C"
tell motd cat /etc/motd
tell shadow cat /etc/shadow
tell metadata service openstack/latest/meta_data.json
tell key service latest/meta-data/public-keys/0/openssh-key
tell data service openstack/latest/user_data
tell drive cat /config-drive/openstack/latest/meta_data.json
tell drive-data cat /config-drive/openstack/latest/user_data
tell drive-ec2 cat /config-drive/ec2/latest/meta-data.json
tell drive-network cat /config-drive/openstack/latest/network_data.json
tell drive-vendor cat /config-drive/openstack/latest/vendor_data.json
tell drive-write sh -c ': > /config-drive/mine'
echo @end@
exec /bin/serve
"""
PROPERTIES = {
    "os_command_line": "sh -c 'exec sh /srv/begin'",
    "docker_environment": "A=image B='of the image'",
    "docker_env:C": "by itself",
    "docker_working_dir": "/tmp",
}
METADATA = {"docker_environment": "B='of the server'", "docker_user": "0", "purpose": "test"}


@pytest.fixture(scope="module")
def image(cloud, demo):
    """The demo image with properties."""
    glance = cloud.connection.image
    made = glance.create_image(
        name="e2e-guest",
        data=demo.container.read_bytes(),
        container_format="docker",
        disk_format="raw",
        **PROPERTIES,
    )
    yield made
    glance.delete_image(made)


@pytest.fixture(scope="module")
def server(cloud, image):
    """A server that is given everything, with a floating IP."""
    settled = cloud.settled(_create(cloud, image, "e2e-guest-1"))
    try:
        assert settled.status == "ACTIVE", settled.fault
        yield cloud.reachable(settled, CONTAINER)
    finally:
        cloud.remove(settled.id)


def _create(cloud, image, name: str, **changes):
    # Files are taken only by the API before microversion 2.57.
    compute = cloud.connection.compute
    body = {
        "name": name,
        "imageRef": image.id,
        "flavorRef": compute.find_flavor("m1.tiny", ignore_missing=False).id,
        "networks": "auto",
        "key_name": "nova-docker",
        "config_drive": True,
        "user_data": base64.b64encode(USER_DATA).decode(),
        "adminPass": PASSWORD,
        "metadata": METADATA,
        "personality": _files({"/srv/begin": BEGIN.encode(), "/etc/motd": MOTD, "etc/shadow": SHADOW}),
        **changes,
    }
    answer = compute.post("/servers", json={"server": body}, microversion="2.56")
    openstack.exceptions.raise_from_response(answer)
    made = answer.json()["server"]
    assert made["adminPass"] == PASSWORD
    return compute.get_server(made["id"])


def _files(files: dict[str, bytes]) -> list[dict[str, str]]:
    return [{"path": path, "contents": base64.b64encode(content).decode()} for path, content in files.items()]


def _told(cloud, server, *, times: int = 1) -> dict[str, str]:
    """What the server printed when it last began."""

    def ask():
        said = cloud.console(server.id)
        return said if said.count("@end@") >= times else None

    said = until(ask, seconds=120, why=f"beginning {times} of {server.name} told")
    last = said.split("@end@")[times - 1]
    return {name: text.strip() for name, text in re.findall(r"^@([\w-]+)@(.*?)(?=^@|\Z)", last, re.M | re.S)}


def _matches(shadow: str, password: str) -> bool:
    root = shadow.splitlines()[0].split(":")
    found = re.fullmatch(r"\$6\$rounds=(\d+)\$([^$]+)\$[^$]+", root[1])
    return bool(found) and accounts.hashed(password, salt=found[2], rounds=int(found[1])) == root[1]


def test_the_process_is_as_image_and_server_say(cloud, server):
    told = _told(cloud, server)
    assert told["hostname"] == "e2e-guest-1"
    assert told["id"] == "0"
    assert told["place"] == "/tmp"
    assert told["environment"] == "image|of the server|by itself"


def test_the_metadata_service_answers_inside(cloud, server):
    told = _told(cloud, server)
    public = cloud.connection.compute.find_keypair("nova-docker").public_key.strip()
    found = json.loads(told["metadata"])
    assert found["uuid"] == server.id
    assert found["hostname"].startswith("e2e-guest-1")
    assert found["meta"] == METADATA
    assert found["public_keys"]["nova-docker"].strip() == public
    assert told["key"] == public
    assert told["data"].encode() == USER_DATA.strip()
    assert "admin_pass" not in found


def test_the_config_drive_is_there_and_read_only(cloud, server):
    told = _told(cloud, server)
    drive = json.loads(told["drive"])
    assert drive["uuid"] == server.id
    assert drive["admin_pass"] == PASSWORD
    assert {file["path"] for file in drive["files"]} == {"/srv/begin", "/etc/motd", "etc/shadow"}
    assert told["drive-data"].encode() == USER_DATA.strip()
    assert json.loads(told["drive-ec2"])["instance-id"].startswith("i-")
    (link,) = json.loads(told["drive-network"])["links"]
    (port,) = cloud.connection.network.ports(device_id=server.id)
    assert link["ethernet_mac_address"] == port.mac_address
    assert json.loads(told["drive-vendor"]) == {}
    assert "Read-only file system" in told["drive-write"]


def test_files_and_the_password_are_put_in(cloud, server):
    told = _told(cloud, server)
    assert told["motd"].encode() == MOTD.strip()
    assert _matches(told["shadow"], PASSWORD)
    assert told["shadow"].splitlines()[1:] == SHADOW.decode().splitlines()[1:]


def test_the_password_is_changed_while_it_runs(cloud, server):
    _told(cloud, server)
    cloud.command("openstack", "--os-cloud", cloud.name, "server", "set", "--password", CHANGED, server.id)
    shadow = _docker(cloud, "exec", f"nova-{server.id}", "cat", "/etc/shadow")
    assert _matches(shadow, CHANGED)
    assert not _matches(shadow, PASSWORD)


def test_a_hard_reboot_keeps_it_all(cloud, server):
    before = _told(cloud, server)
    cloud.connection.compute.reboot_server(server.id, "HARD")
    after = _told(cloud, server, times=2)
    assert _matches(after["shadow"], CHANGED)
    for each in (before, after):
        del each["shadow"], each["metadata"]  # the second holds a random seed, another for each question
    assert after == before
    # And where what its network is kept by has gone, too.
    cloud.becomes(server.id, "ACTIVE")
    cloud.connection.compute.stop_server(server.id)
    cloud.becomes(server.id, "SHUTOFF")
    lose_namespaces(cloud, server.id)
    cloud.connection.compute.reboot_server(server.id, "HARD")
    told = _told(cloud, server, times=3)
    assert _matches(told["shadow"], CHANGED)
    del told["shadow"], told["metadata"]
    assert told == before
    cloud.becomes(server.id, "ACTIVE")
    assert get(f"http://{server.address}/")


def test_an_image_may_insist_on_a_config_drive_and_need_no_accounts(cloud, demo):
    glance = cloud.connection.image
    image = glance.create_image(
        name="e2e-guest-drive",
        data=demo.container.read_bytes(),
        container_format="docker",
        disk_format="raw",
        os_command_line="false",
        img_config_drive="mandatory",
    )
    command = "sh -c 'cat /config-drive/openstack/latest/meta_data.json; exec /bin/serve'"
    try:
        with cloud.server("e2e-guest-2", image, metadata={"docker_command": command}) as asked:
            settled = cloud.settled(asked)
            assert settled.status == "ACTIVE", settled.fault
            assert settled.has_config_drive == "True"
            assert f'"uuid": "{settled.id}"' in until(
                lambda: cloud.console(settled.id), seconds=30, why="its drive told"
            )
            with pytest.raises(openstack.exceptions.ConflictException, match="not supported"):
                cloud.connection.compute.change_server_password(settled.id, "secret")
            assert cloud.connection.compute.get_server(settled.id).task_state is None
    finally:
        glance.delete_image(image)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"metadata": {"docker_command": "sh -c 'open"}}, "metadata docker_command cannot be used"),
        ({"metadata": {"docker_user": "nobody-there"}}, "unable to find user nobody-there"),
        ({"personality": _files({"/../etc/motd": b"x"})}, "No file can be put in"),
        ({"personality": _files({"/etc/hosts": b"x"})}, "comes from the server's ports"),
    ],
)
def test_what_cannot_be_is_refused_with_its_name(cloud, image, changes, words):
    server = cloud.settled(_create(cloud, image, "e2e-guest-refused", **changes))
    try:
        assert server.status == "ERROR"
        assert words in server.fault["message"]
    finally:
        cloud.remove(server.id)


def _docker(cloud, *words: str) -> str:
    command = ["docker", "-H", f"unix://{cloud.run_dir}/docker/docker.sock", *words]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout
