# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
import socket
import subprocess

import pytest
from pyroute2 import IPRoute
from tests.functional.host import grounds

from novadocker.errors import NovaDockerError
from novadocker.host import links


@pytest.fixture(autouse=True)
def network():
    grounds.require("ip")
    with grounds.network_namespace():
        yield


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True)


def _names() -> set[str]:
    return {name for _, name in socket.if_nameindex()}


def _held(name: str) -> tuple[str, int, list[str]]:
    with IPRoute() as netlink:
        index = netlink.link_lookup(ifname=name)[0]
        link = netlink.get_links(index)[0]
        addresses = netlink.get_addr(index=index, family=socket.AF_INET)
        return (
            link["state"],
            link.get_attr("IFLA_MTU"),
            [f"{each.get_attr('IFA_LOCAL')}/{each['prefixlen']}" for each in addresses],
        )


def test_an_address_is_given_once():
    _ip("link", "add", "ndk-ct", "type", "bridge")
    options = {"address": "192.0.2.1", "prefix": 24, "mtu": 1400}
    assert links.give_address("ndk-ct", **options)
    assert _held("ndk-ct") == ("up", 1400, ["192.0.2.1/24"])
    assert not links.give_address("ndk-ct", **options)


@pytest.mark.parametrize(
    "harm",
    [
        ("link", "set", "ndk-ct", "down"),
        ("link", "set", "ndk-ct", "mtu", "1300"),
        ("addr", "del", "192.0.2.1/24", "dev", "ndk-ct"),
    ],
)
def test_what_somebody_changed_is_put_right(harm):
    _ip("link", "add", "ndk-ct", "type", "bridge")
    options = {"address": "192.0.2.1", "prefix": 24, "mtu": 1400}
    links.give_address("ndk-ct", **options)
    _ip(*harm)
    assert links.give_address("ndk-ct", **options)
    assert _held("ndk-ct") == ("up", 1400, ["192.0.2.1/24"])


def test_an_interface_that_is_not_there_is_named():
    with pytest.raises(NovaDockerError, match="no interface ndk-ct"):
        links.give_address("ndk-ct", address="192.0.2.1", prefix=24, mtu=1400)


def test_interfaces_are_removed_by_name_and_by_our_alias():
    for name, alias in (("ours", "nova-docker:host:port"), ("named", ""), ("theirs", "nova-dockers")):
        _ip("link", "add", name, "type", "bridge")
        if alias:
            _ip("link", "set", name, "alias", alias)
    _ip("link", "add", "end-a", "type", "veth", "peer", "name", "end-b")
    before = _names()
    removed = links.remove(["named", "end-a", "end-b", "absent"], alias_prefix="nova-docker:host:")
    assert before - _names() == {"ours", "named", "end-a", "end-b"}
    assert set(removed) <= {"ours", "named", "end-a", "end-b"}
    assert "theirs" in _names()
    assert links.remove(["named"], alias_prefix="nova-docker:host:") == []
