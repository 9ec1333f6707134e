# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
from dataclasses import replace

import pytest
from tests.fakes.clouds import MACHINE

from novadocker.errors import NovaDockerError
from novadocker.host import cloud, clouds, config, kvm, links, machine, ports, secrets, state
from novadocker.host.config import HostConfig
from novadocker.host.networks import Present
from novadocker.host.state import Layout


@pytest.fixture
def here(monkeypatch, tmp_path):
    """The machine, as it is told to be."""
    facts = {"machine": MACHINE, "kvm": False, "taken": set(), "ours": set(), "network": Present({}, [])}
    monkeypatch.setattr(clouds, "PLACE", tmp_path / "clouds")
    monkeypatch.setattr(links, "present", lambda: facts["network"])
    monkeypatch.setattr(ports, "listened_on", lambda pids: facts["ours"])
    monkeypatch.setattr(machine, "look", lambda root: facts["machine"])
    monkeypatch.setattr(kvm, "usable", lambda: facts["kvm"])
    monkeypatch.setattr(ports, "_free", lambda port: port not in facts["taken"])
    return facts


@pytest.fixture
def chosen(tmp_path, monkeypatch):
    # A test's own folder is longer than what the sockets of a real cloud allow.
    monkeypatch.setattr("novadocker.host.config.check", lambda config: None)
    return HostConfig(root=tmp_path / "root", run_dir=tmp_path / "run")


def test_where_no_cloud_is_there_is_none_to_recall(here, chosen, tmp_path):
    assert cloud.recall(chosen) is None
    assert list(tmp_path.iterdir()) == []


def test_what_was_described_is_recalled(here, chosen):
    described = cloud.describe(chosen)
    assert cloud.recall(chosen) == described
    assert cloud.describe(chosen) == described


def test_what_was_decided_holds_when_the_machine_changes(here, chosen):
    described = cloud.describe(chosen)
    here.update(
        machine=replace(MACHINE, hostname="renamed", disk_free_gb=20),
        kvm=True,
        taken=set(described.config.ports.values()),
        ours=set(described.config.ports.values()),
    )
    again = cloud.describe(chosen)
    assert (again.hostname, again.docker_host) == ("host", "host-docker")
    assert again.split == described.split
    assert again.config.ports == described.config.ports
    assert again.kvm is False
    assert again.machine.disk_free_gb == 20


def test_a_taken_port_is_moved_and_remembered(here, chosen):
    here["taken"] = {5000}
    assert cloud.describe(chosen).config.ports["keystone"] == 5001
    here["taken"] = set()
    assert cloud.describe(chosen).url("keystone", "/v3") == "http://127.0.0.1:5001/v3"


def test_what_down_puts_back_is_noted_before_anything_changes(here, chosen, monkeypatch, tmp_path):
    there, absent = tmp_path / "there", tmp_path / "absent"
    there.mkdir()
    monkeypatch.setattr(state, "TOUCHED", (str(there), str(absent)))
    cloud.describe(chosen)
    memory = state.recall(Layout.of(chosen))
    assert memory.outside() == [absent]
    assert memory.forwarding_before in ("0", "1")
    absent.mkdir()
    cloud.describe(chosen)
    assert state.recall(Layout.of(chosen)).outside() == [absent]


def test_a_machine_that_is_too_small_is_refused_and_nothing_remembered(here, chosen):
    here["machine"] = replace(MACHINE, cpus=1)
    with pytest.raises(NovaDockerError, match="two processors"):
        cloud.describe(chosen)
    assert cloud.recall(chosen) is None
    here["machine"] = MACHINE
    assert cloud.describe(chosen).hostname == "host"


def test_looking_at_a_cloud_without_its_passwords_makes_none(here, chosen):
    layout = cloud.describe(chosen).layout
    layout.secrets_file.write_text("{}")
    with pytest.raises(NovaDockerError, match="lacks some"):
        cloud.recall(chosen)
    assert layout.secrets_file.read_text() == "{}"
    assert set(cloud.describe(chosen).secrets.values) == set(secrets.NAMES)


@pytest.mark.parametrize(
    ("kernel", "datapath"),
    [pytest.param(True, "system", id="kernel"), pytest.param(False, "netdev", id="user")],
)
def test_the_datapath_is_the_kernels_where_it_has_one(here, chosen, kernel, datapath):
    here["machine"] = replace(MACHINE, kernel_datapath=kernel)
    assert cloud.describe(chosen).datapath == datapath


def test_a_port_that_somebody_took_while_the_cloud_was_down_is_moved(here, chosen):
    cloud.describe(chosen)
    here["taken"] = {5000}
    assert cloud.describe(chosen).config.ports["keystone"] == 5001


def test_a_port_that_the_user_named_is_refused_if_another_has_it(here, chosen):
    named = replace(chosen, wanted_ports={"keystone": 5000})
    cloud.describe(named)
    here["taken"] = {5000}
    with pytest.raises(NovaDockerError, match="Port 5000 for keystone"):
        cloud.describe(named)


@pytest.fixture
def second(chosen, tmp_path):
    return replace(
        config.usual("second", root=tmp_path / "second", run_dir=tmp_path / "run2"), ports=chosen.ports
    )


def test_a_second_cloud_takes_nothing_of_the_first(here, chosen, second):
    first = cloud.describe(chosen)
    here["taken"] = set(first.config.ports.values())
    other = cloud.describe(second)
    assert not set(other.config.ports.values()) & set(first.config.ports.values())
    assert other.config.external_cidr == "172.24.5.0/24"
    assert {other.config.integration_bridge, other.config.external_bridge} == {"second-int", "second-ex"}
    assert (other.hostname, other.docker_host) == ("host-second", "host-second-docker")
    assert cloud.describe(second).config == cloud.recall(second).config == other.config


def test_a_second_cloud_tells_what_is_promised_twice(here, chosen, second):
    first = cloud.describe(chosen)
    assert cloud.promised_twice(first) == []
    told = cloud.promised_twice(cloud.describe(second))
    assert [line.partition(":")[0] for line in told] == ["VCPU", "MEMORY_MB", "DISK_GB"]
    halved = [cloud.describe(replace(each, capacity_percent=45)) for each in (chosen, second)]
    assert not [line for line in cloud.promised_twice(halved[1]) if "MEMORY" in line]


def test_a_changed_percentage_divides_memory_anew_but_not_the_disk(here, chosen):
    whole = cloud.describe(chosen).split
    half = cloud.describe(replace(chosen, capacity_percent=50)).split
    assert half.offers()["MEMORY_MB"] == whole.offers()["MEMORY_MB"] // 2
    assert half.offers()["DISK_GB"] == whole.offers()["DISK_GB"]
    assert cloud.describe(chosen).split == whole


def test_what_the_first_cloud_found_is_put_back_by_the_last(here, chosen, second, monkeypatch, tmp_path):
    brought = tmp_path / "brought"
    monkeypatch.setattr(state, "TOUCHED", (str(brought),))
    cloud.describe(chosen)
    memory = state.recall(Layout.of(chosen))
    memory.forwarding_before = "0"
    state.remember(Layout.of(chosen), memory)
    brought.mkdir()
    cloud.describe(second)
    inherited = state.recall(Layout.of(second))
    assert inherited.outside() == [brought]
    assert inherited.forwarding_before == "0"


def test_a_name_is_one_clouds_alone(here, chosen, tmp_path):
    cloud.describe(chosen)
    with pytest.raises(NovaDockerError, match="already, under another root"):
        cloud.describe(replace(chosen, root=tmp_path / "elsewhere"))


def test_a_datapath_of_the_kernel_that_somebody_has_is_left_to_them(here, chosen):
    here["machine"] = replace(MACHINE, kernel_datapath=True)
    here["network"] = Present({"ovs-system": "openvswitch"}, [])
    assert cloud.describe(chosen).datapath == "netdev"
    here["network"] = Present({}, [])
    assert cloud.describe(chosen).datapath == cloud.recall(chosen).datapath == "netdev", "decided once"


def test_our_own_datapath_of_the_kernel_is_kept(here, chosen):
    here["machine"] = replace(MACHINE, kernel_datapath=True)
    assert cloud.describe(chosen).datapath == "system"
    here["network"] = Present({"ovs-system": "openvswitch", "ndk-ex": "openvswitch"}, [])
    assert cloud.describe(chosen).datapath == "system"
