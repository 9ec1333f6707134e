# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
import pytest
from tests.fakes import clouds

from novadocker.host import cgroups
from novadocker.host.services import registry
from novadocker.host.supervise import choice, systemd
from novadocker.host.supervise.supervisord import Supervisord


@pytest.fixture
def follow(tmp_path, monkeypatch):
    found = cgroups.Hierarchies(mounts=(tmp_path,), follow=tmp_path)
    monkeypatch.setattr(cgroups, "hierarchies", lambda: found)
    return tmp_path


def _of(tmp_path, monkeypatch, *, booted):
    monkeypatch.setattr(systemd, "booted", lambda: booted)
    cloud = clouds.cloud_in(tmp_path)
    return cloud, lambda: choice.of(cloud, registry.services(cloud))


def test_systemd_where_it_is_pid_1(tmp_path, monkeypatch, follow):
    _, choose = _of(tmp_path, monkeypatch, booted=True)
    chosen = choose()
    assert isinstance(chosen.supervisor, systemd.Systemd)
    assert chosen.groups["keystone"] == follow / "nova.slice/nova-docker.slice/openstack-keystone.service"
    # systemd has put it there: its script moves it nowhere.
    assert "cgroup.procs" not in chosen.scripts["keystone"].content


def test_supervisord_elsewhere_and_where_it_runs_the_cloud_already(tmp_path, monkeypatch, follow):
    _, choose = _of(tmp_path, monkeypatch, booted=False)
    assert isinstance(choose().supervisor, Supervisord)
    cloud, choose = _of(tmp_path, monkeypatch, booted=True)
    cloud.layout.supervisor_socket.parent.mkdir()
    cloud.layout.supervisor_socket.touch()
    assert isinstance(choose().supervisor, Supervisord)
    assert choose().groups["keystone"] == follow / "nova-docker" / "keystone"


def test_a_clouds_processes_are_found_below_either(follow):
    # Seen: `up` took the ports of its own services below systemd for another program's, and moved them all.
    for number, group in enumerate(
        ("nova-docker/servers", "nova.slice/nova-docker.slice/openstack-x.service")
    ):
        (follow / group).mkdir(parents=True)
        (follow / group / "cgroup.procs").write_text(f"{number + 10}\n")
    assert choice.processes("nova-docker") == {10, 11}
