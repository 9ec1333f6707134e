# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
import pytest

from novadocker.errors import NovaDockerError
from novadocker.host import config_file
from novadocker.host.config import HostConfig

USUAL = HostConfig()
WHOLE = """
[cloud]
region = "Here"
[network]
backend = "ovs"
external_cidr = "192.0.2.0/24"
private_cidr = "198.51.100.0/24"
integration_bridge = "lab-int"
external_bridge = "lab-ex"
tunnel_bridge = "lab-tun"
[ports]
keystone = 5999
[options."nova/nova.conf".DEFAULT]
debug = true
reclaim_instance_interval = 60
dhcp_domain = "lab"
[options."nova/nova.conf".filter_scheduler]
enabled_filters = ["ComputeFilter", "ImageKindFilter"]
"""
WRONG = {
    "not TOML": ("[network", "is not TOML"),
    "no such section": ('[net]\nexternal_cidr = "192.0.2.0/24"', "net.external_cidr: there is no such key"),
    "no section": ('region = "x"', "region: there is no such key; cloud.region perhaps?"),
    "no such key": ('[network]\nexternal_cdir = "192.0.2.0/24"', "network.external_cidr perhaps?"),
    "another type": ("[network]\nexternal_cidr = 5", "network.external_cidr: text; got 5"),
    "not a network": ('[network]\nexternal_cidr = "x"', "network.external_cidr: an IPv4 network"),
    "no such backend": ('[network]\nbackend = "ofagent"', "network.backend: ovn or ovs; got 'ofagent'"),
    "one bridge twice": ('[network]\ntunnel_bridge = "ndk-int"', "network.tunnel_bridge: another than"),
    "the article's second agent": (
        '[options."neutron/ovs-docker.conf".DEFAULT]\nhost = "nova-docker"',
        "options.neutron/ovs-docker.conf.DEFAULT.host: one agent per machine: a second one on the same",
    ),
    "an agent under another name": (
        '[options."neutron-openvswitch-agent/agent.conf".DEFAULT]\nhost = "nova-docker"',
        "options.neutron-openvswitch-agent/agent.conf.DEFAULT.host: one agent per machine",
    ),
    "ports for such an agent": (
        '[options."nova-docker/nova-docker.conf".docker]\nbinding_host = "nova-docker"',
        "options.nova-docker/nova-docker.conf.docker.binding_host: one agent per machine",
    ),
    "a key for such an agent": ("[network]\ndocker_agent = true", "network.docker_agent: one agent per"),
    "no such server": ("[ports]\nkeystne = 5", "ports.keystne: there is no such key; keystone perhaps?"),
    "not a port": ("[ports]\nkeystone = 70000", "ports.keystone: a number from 1 to 65535; got 70000"),
    "one port twice": ("[ports]\nkeystone = 9292", "ports."),
    "ports are no table": ("ports = 5", "ports: a table"),
    "options of no section": ('[options]\n"nova/nova.conf" = 5', "options.nova/nova.conf: a table"),
    "an option over two lines": ('[options.a.b]\nc = "x\\ny"', "options.a.b.c: text"),
    "an option that is a date": ("[options.a.b]\nc = 2026-01-01", "options.a.b.c: text"),
}


@pytest.fixture
def file(tmp_path):
    def write(text):
        path = tmp_path / "lab.toml"
        path.write_text(text)
        return path

    return write


def test_an_empty_file_changes_nothing(file):
    assert config_file.read(file(""), onto=USUAL) == USUAL


def test_everything_is_read(file):
    read = config_file.read(file(WHOLE), onto=USUAL)
    assert (read.region, read.external_cidr, read.private_cidr) == ("Here", "192.0.2.0/24", "198.51.100.0/24")
    assert read.network_backend == "ovs"
    assert (read.integration_bridge, read.external_bridge, read.tunnel_bridge) == (
        "lab-int",
        "lab-ex",
        "lab-tun",
    )
    assert read.wanted_ports == {"keystone": 5999}
    assert read.options["nova/nova.conf"] == {
        "DEFAULT": {"debug": "true", "reclaim_instance_interval": "60", "dhcp_domain": "lab"},
        "filter_scheduler": {"enabled_filters": "ComputeFilter,ImageKindFilter"},
    }


@pytest.mark.parametrize(("text", "said"), WRONG.values(), ids=WRONG)
def test_what_is_wrong_is_told_with_its_path(file, text, said):
    with pytest.raises(NovaDockerError) as caught:
        config_file.read(file(text), onto=USUAL)
    assert said in f"{caught.value.summary}\n{caught.value.facts}"


def test_an_agent_s_other_options_are_the_user_s(file):
    text = '[options."neutron-openvswitch-agent/agent.conf".ovs]\nlocal_ip = "192.0.2.9"'
    assert config_file.read(file(text), onto=USUAL).options


def test_all_problems_are_told_at_once(file):
    bad = '[network]\nexternal_cidr = "x"\nprivate = 5\n[ports]\nnova = 0\n[cloud]\nregion = ""\n'
    with pytest.raises(NovaDockerError) as caught:
        config_file.read(file(bad), onto=USUAL)
    assert len(caught.value.facts.splitlines()) == 4
    assert "4 problems" in caught.value.summary


def test_a_file_that_cannot_be_read_is_told(tmp_path):
    with pytest.raises(NovaDockerError, match="cannot be read"):
        config_file.read(tmp_path, onto=USUAL)


def test_every_key_sets_a_field():
    for key in config_file.KEYS.values():
        assert isinstance(getattr(USUAL, key.field), key.kind)
