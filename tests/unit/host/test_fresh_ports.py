# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""A VM's end: its port is replaced by one that is as os-vif makes it."""

from pathlib import Path

import pytest
from tests.fakes import clouds

from novadocker import run
from novadocker.host import fresh_ports
from novadocker.host.config import HostConfig
from novadocker.host.services import libvirt

DOMAIN = """<domain type='qemu'><devices>
  <interface type='ethernet'><mac address='fa:16:3e:20:c0:52'/><target dev='tap3f057bb2-44'/></interface>
  <interface type='bridge'><source bridge='ndk-int'/><target dev='tapother'/></interface>
  <interface type='ethernet'><mac address='fa:16:3e:20:c0:53'/></interface>
</devices></domain>"""
IDS = '{attached-mac="fa:16:3e:20:c0:52", iface-id="3f057bb2", vm-uuid="4bf86638"}'


@pytest.fixture
def asked(monkeypatch):
    """What ovs-vsctl is asked, and its answers by verb."""
    calls: list[list[str]] = []
    answers = {"port-to-br": (0, "ndk-int\n"), "get": (0, f"{IDS}\n1350\n")}

    def answer(words, **_options):
        calls.append([word for word in words[1:] if not word.startswith(("--db", "--timeout", "--no-wait"))])
        code, out = answers.get(calls[-1][0], (0, ""))
        return run.Finished(code=code, out=out, err="")

    monkeypatch.setattr(fresh_ports.run, "run", answer)
    return calls, answers


def test_only_taps_that_somebody_else_plugs():
    assert fresh_ports.taps(DOMAIN) == ["tap3f057bb2-44"]


def test_the_port_is_the_same_and_on_no_network(asked):
    calls, _ = asked
    assert fresh_ports.make_anew("tap3f057bb2-44", socket=Path("/db.sock"))
    assert calls[2] == ["del-port", "tap3f057bb2-44"]
    assert calls[3][:3] == ["add-port", "ndk-int", "tap3f057bb2-44"]
    assert {"tag=4095", f"external_ids={IDS}", "mtu_request=1350"} <= set(calls[3])


def test_a_port_that_was_unplugged_stays_away(asked):
    calls, answers = asked
    answers["port-to-br"] = (1, "")
    assert not fresh_ports.make_anew("tap3f057bb2-44", socket=Path("/db.sock"))
    assert [call[0] for call in calls] == ["port-to-br"]


def test_only_where_os_vif_makes_the_ports_of_the_userspace_datapath():
    def files(backend: str) -> set[str]:
        cloud = clouds.cloud(config=HostConfig(network_backend=backend))
        assert cloud.datapath == "netdev"
        return {file.path.name for file in libvirt.libvirtd(cloud).files}

    assert "qemu" in files("ovs")
    assert "qemu" not in files("ovn")
