# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
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


def test_they_go_into_a_clouds_yaml_and_out_again():
    both = access.accesses(clouds.cloud())
    text = clients.merged("", both)
    assert "password-of-member" in text
    assert clients.without(text, name="nova-docker") == ""
