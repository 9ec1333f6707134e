# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
import yaml
from tests.fakes import clouds

from novadocker.host import access, clients
from novadocker.host.config import HostConfig


def test_an_administrator_and_a_member_of_the_same_project():
    cloud = clouds.cloud(config=HostConfig(name="lab", region="Here"))
    administrator, member = access.accesses(cloud)
    assert (administrator.name, administrator.username) == ("lab", "admin")
    assert (member.name, member.username) == ("lab-member", "demo")
    assert (administrator.password, member.password) == ("password-of-admin", "password-of-member")
    for each in (administrator, member):
        assert (each.project_name, each.region_name) == ("demo", "Here")
        assert each.auth_url == "http://127.0.0.1:5000/v3"
        assert "password-of" not in repr(each)


def test_a_moved_port_is_in_the_address():
    config = HostConfig(ports=HostConfig().ports | {"keystone": 5003})
    assert access.accesses(clouds.cloud(config=config))[0].auth_url == "http://127.0.0.1:5003/v3"


def test_devstack_s_names_are_there_on_request():
    made = {each.name: each for each in access.entries(clouds.cloud(config=HostConfig(devstack=True)))}
    assert list(made) == [
        "nova-docker", "nova-docker-member",
        "devstack", "devstack-admin", "devstack-alt", "devstack-system-admin",
    ]  # fmt: skip
    assert [(each.username, each.project_name) for each in made.values()][2:5] == [
        ("demo", "demo"), ("admin", "admin"), ("alt_demo", "alt_demo"),
    ]  # fmt: skip
    system = yaml.safe_load(clients.merged("", [made["devstack-system-admin"]]))["clouds"]
    auth = system["devstack-system-admin"]["auth"]
    assert (auth["username"], auth["system_scope"]) == ("admin", "all")
    assert not {"project_name", "project_domain_name"} & set(auth)
    assert access.entries(clouds.cloud()) == access.accesses(clouds.cloud())


def test_another_machine_reaches_all_servers_where_they_are():
    config = HostConfig(ports=HostConfig().ports | {"keystone": 5003})
    assert access.tunnel(clouds.cloud(config=config), to="root@lab").split() == [
        "ssh", "-N",
        *(f"-L{port}:127.0.0.1:{port}" for port in (5003, 9292, 8778, 8774, 9696, 6083)),
        "root@lab",
    ]  # fmt: skip


def test_they_go_into_a_clouds_yaml_and_out_again():
    both = access.accesses(clouds.cloud())
    text = clients.merged("", both)
    assert "password-of-member" in text
    assert clients.without(text, name="nova-docker") == ""
