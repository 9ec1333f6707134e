# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
from contextlib import contextmanager
from types import SimpleNamespace as Thing

import pytest
from tests.fakes import clouds
from tests.fakes.supervisor import FakeSupervisor

from novadocker.errors import NovaDockerError
from novadocker.host import cgroups, observe, probes, uplink
from novadocker.host.bootstrap import computes, session
from novadocker.host.services import registry
from novadocker.host.supervise import supervisord


def _stock(total: int, reserved: int) -> dict[str, int]:
    return {"total": total, "reserved": reserved}


class Api:
    """What the cloud's APIs answer."""

    def __init__(self) -> None:
        self.services = [
            Thing(host=host, binary="nova-compute", status="enabled", state="up") for host in HOSTS
        ]
        self.found = [Thing(name=host, hypervisor_type="docker", state="up") for host in HOSTS]
        self.agents = [Thing(agent_type="OVN Controller", host="host", is_alive=True)]
        self.servers = []
        self.inventories = {
            host: {"VCPU": _stock(2, 1), "MEMORY_MB": _stock(16000, 10048), "DISK_GB": _stock(100, 70)}
            for host in HOSTS
        }

    @property
    def compute(self) -> Thing:
        return Thing(
            services=lambda: self.services,
            hypervisors=lambda *, details: self.found,
            servers=lambda *, all_projects: self.servers,
        )

    @property
    def network(self) -> Thing:
        return Thing(agents=lambda: self.agents)


HOSTS = ("host", "host-docker")
CLOUD = clouds.cloud()


@pytest.fixture
def supervisor(tmp_path):
    made = FakeSupervisor(settings=lambda: registry.services(CLOUD))
    made.start(group=tmp_path)
    for name in registry.services(CLOUD):
        made.begin(name)
    made.processes()
    made.processes()
    return made


@pytest.fixture
def api(monkeypatch, supervisor, tmp_path):
    made = Api()

    @contextmanager
    def administrator(cloud, *, project):
        yield made

    monkeypatch.setattr(session, "administrator", administrator)
    monkeypatch.setattr(computes, "inventories", lambda connection: made.inventories)
    monkeypatch.setattr(supervisord, "of", lambda cloud: supervisor)
    monkeypatch.setattr(
        cgroups, "hierarchies", lambda: cgroups.Hierarchies(mounts=(tmp_path,), follow=tmp_path)
    )
    monkeypatch.setattr(probes, "missing", lambda probe: None)
    monkeypatch.setattr(uplink, "is_open", lambda config: True)
    return made


def test_all_is_well(api):
    seen = observe.observe(CLOUD)
    assert seen.problems == []
    told = seen.to_dict()
    assert told["healthy"] is True
    assert len(told["services"]) == len(registry.ALL["ovn"])
    assert told["capacity"]["host"] == {"VCPU": 1, "MEMORY_MB": 5952, "DISK_GB": 30}
    assert told["machine"] == {"VCPU": 2, "MEMORY_MB": 16000, "DISK_GB": 100}


def test_servers_are_counted_by_kind_and_the_last_faults_are_told(api):
    def server(number: int, host: str | None, status: str) -> Thing:
        fault = {"message": f"no luck {number}"} if status == "ERROR" else None
        return Thing(
            id=str(number),
            name=f"s{number}",
            compute_host=host,
            status=status,
            fault=fault,
            updated_at=f"2026-{number}",
        )

    api.servers = [
        server(1, "host-docker", "ACTIVE"),
        server(2, "host-docker", "ACTIVE"),
        server(3, "host", "SHUTOFF"),
        *(server(number, None, "ERROR") for number in range(4, 10)),
    ]
    seen = observe.observe(CLOUD)
    assert seen.servers == [
        {"kind": "VM", "status": "SHUTOFF", "count": "1"},
        {"kind": "container", "status": "ACTIVE", "count": "2"},
        {"kind": "unplaced", "status": "ERROR", "count": "6"},
    ]
    assert [fault["fault"] for fault in seen.faults] == [f"no luck {number}" for number in (9, 8, 7, 6, 5)]


def _down(api, supervisor, monkeypatch):
    api.services[1].state = "down"


def _dead(api, supervisor, monkeypatch):
    api.agents[0].is_alive = False


def _too_much(api, supervisor, monkeypatch):
    api.inventories["host"]["VCPU"] = _stock(2, 0)


def _refused(api, supervisor, monkeypatch):
    def refuse() -> None:
        raise RuntimeError("503")

    monkeypatch.setattr(Api, "network", property(lambda self: Thing(agents=refuse)))


def _stopped(api, supervisor, monkeypatch):
    supervisor.stop("glance")


def _not_ready(api, supervisor, monkeypatch):
    wanted = registry.services(CLOUD)["dockerd"].ready
    monkeypatch.setattr(probes, "missing", lambda probe: "refused" if probe == wanted else None)


def _closed(api, supervisor, monkeypatch):
    monkeypatch.setattr(uplink, "is_open", lambda config: False)


def _no_iptables(api, supervisor, monkeypatch):
    def refuse(config) -> bool:
        raise NovaDockerError("The program iptables is not on this machine.")

    monkeypatch.setattr(uplink, "is_open", refuse)


PROBLEMS = {
    _down: "nova-compute on host-docker is down.",
    _dead: "The OVN Controller on host is not alive.",
    _too_much: "The hypervisors offer more than there is: VCPU: 2 + 1 offered, the machine has 2.",
    _refused: "The list of agents could not be had: 503",
    _stopped: "glance is stopped.",
    _not_ready: "dockerd is running: refused.",
    _closed: "Servers' traffic does not leave the host: forwarding or a firewall rule of ours is missing.",
    _no_iptables: "The program iptables is not on this machine.",
}


@pytest.mark.parametrize(("harm", "told"), PROBLEMS.items(), ids=[harm.__name__ for harm in PROBLEMS])
def test_a_problem_is_told_and_the_rest_is_seen(api, supervisor, monkeypatch, harm, told):
    harm(api, supervisor, monkeypatch)
    seen = observe.observe(CLOUD)
    assert seen.problems == [told]
    assert seen.to_dict()["healthy"] is False
    assert seen.hypervisors


def test_without_a_supervisor_that_is_the_problem(api, supervisor):
    supervisor.end()
    seen = observe.observe(CLOUD)
    assert len(seen.problems) == 1
    assert "does not answer" in seen.problems[0]
    assert {service.state for service in seen.services} == {"STOPPED"}


def test_without_control_groups_that_is_the_problem(api, monkeypatch):
    def refuse() -> cgroups.Hierarchies:
        raise NovaDockerError("There are no control groups to write to on this machine.")

    monkeypatch.setattr(cgroups, "hierarchies", refuse)
    assert "no control groups" in observe.observe(CLOUD).problems[0]
