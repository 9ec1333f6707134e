# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
import shlex
from dataclasses import replace
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from novadocker.errors import NovaDockerError
from novadocker.host import clients
from novadocker.host.clients import CloudAccess

ADMIN = CloudAccess(
    name="nova-docker",
    auth_url="http://127.0.0.1:5000/v3",
    username="admin",
    password="p'a ss$\\",
    project_name="demo",
    region_name="RegionOne",
)
MEMBER = replace(ADMIN, name="nova-docker-member", username="demo", password="0123")
BOTH = (ADMIN, MEMBER)

FILES = {
    "empty": "",
    "only a comment": "# mine\n",
    "document start": "---\n# mine\n",
    "no clouds": "# mine\ncache:\n    expiration_time: 3600   # seconds\n",
    "clouds without an entry": "clouds:\nclient: {}\n",
    "usual": "clouds:\n  # the lab\n  lab:\n    auth: {auth_url: 'lab'}   # a\n\n  other: {profile: x}\n",
    "odd indent and order": "cache: 1\nclouds:      # all\n      z: {a: 1}\n      a:\n        - 1\nlast: 2\n",
    "no newline at the end": "clouds:\n  lab: {profile: x}",
    "carriage returns": "clouds:\r\n  lab:\r\n    profile: x\r\n",
    "anchors": "base: &b\n  region_name: x\nclouds: &c\n  lab:\n    <<: *b\n    auth: {auth_url: y}\n",
}


@pytest.mark.parametrize("text", FILES.values(), ids=FILES.keys())
def test_entries_are_added_and_everything_else_stays(text):
    new = clients.merged(text, BOTH)
    before, after = (YAML(typ="safe").load(each) or {} for each in (text, new))
    added = {name: after["clouds"].pop(name) for name in ("nova-docker", "nova-docker-member")}
    assert after["clouds"] == (before.get("clouds") or {})
    assert {key: value for key, value in after.items() if key != "clouds"} == {
        key: value for key, value in before.items() if key != "clouds"
    }
    assert added["nova-docker-member"] == {
        "auth": {
            "auth_url": "http://127.0.0.1:5000/v3",
            "username": "demo",
            "password": "0123",
            "project_name": "demo",
            "user_domain_name": "Default",
            "project_domain_name": "Default",
        },
        "region_name": "RegionOne",
        "identity_api_version": 3,
    }
    assert added["nova-docker"]["auth"]["password"] == ADMIN.password


@pytest.mark.parametrize("text", FILES.values(), ids=FILES.keys())
def test_removal_gives_back_every_byte(text):
    assert clients.without(clients.merged(text, BOTH), name="nova-docker") == text


@pytest.mark.parametrize("text", FILES.values(), ids=FILES.keys())
def test_a_second_time_changes_nothing(text):
    once = clients.merged(text, BOTH)
    assert clients.merged(once, BOTH) == once


def test_a_new_password_replaces_the_old_one():
    once = clients.merged(FILES["usual"], BOTH)
    again = clients.merged(once, (replace(ADMIN, password="new"), MEMBER))
    assert ADMIN.password not in again
    assert clients.without(again, name="nova-docker") == FILES["usual"]


def test_two_clouds_stand_beside_each_other():
    second = replace(ADMIN, name="nova-docker-2")
    both = clients.merged(clients.merged(FILES["usual"], BOTH), [second])
    assert set(YAML(typ="safe").load(both)["clouds"]) >= {"lab", "nova-docker", "nova-docker-2"}
    assert clients.without(both, name="nova-docker") == clients.merged(FILES["usual"], [second])


def test_what_the_user_added_under_our_key_stays():
    text = clients.merged("", BOTH) + "  theirs:\n    profile: x\n"
    assert YAML(typ="safe").load(clients.without(text, name="nova-docker")) == {
        "clouds": {"theirs": {"profile": "x"}}
    }


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("clouds:\n  nova-docker-member:\n    profile: x\n", "already has a cloud named nova-docker-member"),
        ("clouds:\n  a: [\n", "not valid YAML"),
        ("clouds:\n\ta: b\n", "not valid YAML"),
        ("clouds:\n  a: 1\n  a: 2\n", "not valid YAML"),
        ("- a\n", "no mapping at its top"),
        ("clouds: [a]\n", "clouds is no mapping"),
        ("clouds: {lab: {profile: x}}\n", "no entry can be added safely"),
        ("{}\n", "no entry can be added safely"),
    ],
)
def test_a_file_that_cannot_be_merged_is_left_alone(tmp_path, text, said):
    file = tmp_path / "clouds.yaml"
    file.write_text(text)
    with pytest.raises(NovaDockerError, match=said):
        clients.write(file, BOTH)
    assert file.read_text() == text
    assert list(tmp_path.iterdir()) == [file]


def test_a_file_in_another_encoding_is_left_alone(tmp_path):
    file = tmp_path / "clouds.yaml"
    file.write_bytes(b"# caf\xe9\n")
    with pytest.raises(NovaDockerError, match="is not UTF-8"):
        clients.write(file, BOTH)
    assert file.read_bytes() == b"# caf\xe9\n"


def test_a_file_of_our_own_is_private_and_goes_with_its_folders(tmp_path):
    file = tmp_path / "a" / "openstack" / "clouds.yaml"
    assert clients.write(file, BOTH)
    assert file.stat().st_mode & 0o777 == 0o600
    assert file.parent.stat().st_mode & 0o777 == 0o700
    assert not clients.write(file, BOTH)
    assert clients.remove(file, name="nova-docker")
    assert list(tmp_path.iterdir()) == []
    assert not clients.remove(file, name="nova-docker")


def test_a_folder_that_was_there_stays(tmp_path):
    file = tmp_path / "openstack" / "clouds.yaml"
    file.parent.mkdir()
    clients.write(file, BOTH)
    clients.remove(file, name="nova-docker")
    assert list(tmp_path.iterdir()) == [file.parent]


def test_a_folder_somebody_uses_by_now_stays(tmp_path):
    file = tmp_path / "openstack" / "clouds.yaml"
    clients.write(file, BOTH)
    (file.parent / "secure.yaml").touch()
    clients.remove(file, name="nova-docker")
    assert list(tmp_path.rglob("*")) == [file.parent, file.parent / "secure.yaml"]


def test_a_file_of_the_user_keeps_its_mode_and_its_link(tmp_path):
    real, link = tmp_path / "dotfiles.yaml", tmp_path / "clouds.yaml"
    real.write_text(FILES["usual"])
    real.chmod(0o640)
    link.symlink_to(real)
    assert clients.write(link, BOTH)
    assert link.is_symlink()
    assert real.stat().st_mode & 0o777 == 0o640
    assert clients.remove(link, name="nova-docker")
    assert real.read_text() == FILES["usual"]


def test_json_is_not_touched(tmp_path):
    (tmp_path / "clouds.json").write_text("{}")
    with pytest.raises(NovaDockerError, match="is JSON"):
        clients.write(tmp_path / "clouds.json", BOTH)


@pytest.mark.parametrize(
    ("there", "environment", "file"),
    [
        ([], {}, "home/.config/openstack/clouds.yaml"),
        (["home/.config/openstack/clouds.yml"], {}, "home/.config/openstack/clouds.yml"),
        (["etc/clouds.yaml"], {}, "etc/clouds.yaml"),
        (["etc/clouds.yaml", "home/.config/openstack/clouds.yaml"], {}, "home/.config/openstack/clouds.yaml"),
        ([], {"XDG_CONFIG_HOME": "{}/xdg"}, "xdg/openstack/clouds.yaml"),
        (["etc/clouds.yaml"], {"OS_CLIENT_CONFIG_FILE": "{}/mine.yaml"}, "mine.yaml"),
    ],
)
def test_the_file_is_the_one_openstacksdk_would_find(tmp_path, there, environment, file):
    for name in there:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    environment = {name: value.format(tmp_path) for name, value in environment.items()}
    found = clients.user_file(environment=environment, home=tmp_path / "home", system=tmp_path / "etc")
    assert found == tmp_path / file


def test_exports_hold_every_value_unchanged():
    unset, *lines = clients.exports(replace(ADMIN, cacert=Path("/a b/ca.pem"))).splitlines()
    words = [shlex.split(line) for line in lines]
    assert {command for command, _ in words} == {"export"}
    values = dict(word.split("=", 1) for _, word in words)
    assert values["OS_PASSWORD"] == ADMIN.password
    assert values["OS_CACERT"] == "/a b/ca.pem"
    assert shlex.split(unset)[:2] == ["unset", "OS_CLOUD"]


def test_exports_for_fish_are_quoted_its_way():
    lines = clients.exports(ADMIN, syntax="fish").splitlines()
    assert "set -gx OS_PASSWORD 'p\\'a ss$\\\\';" in lines
    assert "set -e OS_CLOUD;" in lines
    assert "OS_CACERT" not in shlex.join(line for line in lines if line.startswith("set -gx"))


def test_a_password_is_not_shown():
    assert ADMIN.password not in repr(ADMIN)


@pytest.mark.parametrize("text", FILES.values(), ids=FILES)
def test_a_second_clouds_entries_and_ours_leave_each_other_where_they_are(text):
    others = [replace(each, name=each.name.replace("nova-docker", "second")) for each in BOTH]
    both = clients.merged(clients.merged(text, BOTH), others)
    assert clients.merged(both, BOTH) == both
    moved = [replace(each, auth_url="http://127.0.0.1:5001/v3") for each in BOTH]
    assert clients.merged(clients.merged(both, moved), BOTH) == both
    assert set(YAML().load(clients.without(both, name="nova-docker"))["clouds"]) >= {
        "second",
        "second-member",
    }
    assert clients.without(clients.without(both, name="nova-docker"), name="second") == clients.without(
        clients.merged(text, BOTH), name="nova-docker"
    )
