# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""Which processors are whose, and what Nova is told of them."""

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from nova import exception, objects
from nova.compute import provider_tree as trees
from tests.fakes.nova_objects import CONTEXT
from tests.unit.virt.docker.conftest import CONF, Bench, spawn

from novadocker.virt.docker import names, processors, topology
from novadocker.virt.docker.errors import ConfigurationError
from novadocker.virt.docker.processors import Processors, divide

FOUR = frozenset(range(4))
PINNED = Processors(dedicated=frozenset({2, 3}), shared=frozenset({1}), divided=True)


def test_every_server_runs_everywhere_where_nothing_is_said() -> None:
    assert divide(online=FOUR, dedicated=None, shared=None, reserved=1) == Processors(shared=FOUR)


def test_the_sets() -> None:
    assert divide(online=FOUR, dedicated={2, 3}, shared={1}, reserved=0) == PINNED
    assert divide(online=FOUR, dedicated={2}, shared=None, reserved=0).shared == frozenset()


@pytest.mark.parametrize(
    ("dedicated", "shared", "reserved", "words"),
    [
        ({1, 2}, {2, 3}, 0, "in common. Both name 2"),
        ({7}, None, 0, "not there. 7 are not among 0,1,2,3"),
        ({1}, None, 1, "reserved_host_cpus cannot stand beside"),
    ],
)
def test_sets_that_cannot_be(dedicated: set[int], shared: set[int], reserved: int, words: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        divide(online=FOUR, dedicated=dedicated, shared=shared, reserved=reserved)
    assert words in str(caught.value)


def test_no_processor_is_two_hypervisors_own() -> None:
    processors.check_apart(PINNED, neighbour="vm", theirs={0, 1})
    with pytest.raises(ConfigurationError, match="vm uses too"):
        processors.check_apart(PINNED, neighbour="vm", theirs=FOUR)


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """A /sys with two nodes of two threads each, of which the last is off."""
    (tmp_path / "cpu").mkdir()
    (tmp_path / "cpu" / "online").write_text("0-2\n")
    for node, cpus in ((0, "0-1"), (1, "2-3")):
        place = tmp_path / "node" / f"node{node}"
        place.mkdir(parents=True)
        (place / "cpulist").write_text(f"{cpus}\n")
        (place / "meminfo").write_text(f"Node {node} MemTotal:  2097152 kB\nNode {node} MemFree:  1 kB\n")
        for cpu in (2 * node, 2 * node + 1):
            core = tmp_path / "cpu" / f"cpu{cpu}" / "topology"
            core.mkdir(parents=True)
            (core / "thread_siblings_list").write_text(f"{cpus}\n")
    return tmp_path


def test_the_machine_s_nodes(machine: Path) -> None:
    first, second = processors.nodes(machine)
    assert (first.cpus, first.cores, first.memory_mb) == ({0, 1}, (frozenset({0, 1}),), 2048)
    assert (second.id, second.cpus, second.cores) == (1, {2}, (frozenset({2}),))


def test_nova_reads_a_host_s_topology(machine: Path) -> None:
    ours = Processors(dedicated=frozenset({2}), shared=frozenset({1}), divided=True)
    told = objects.NUMATopology.obj_from_db_obj(topology.of_host(processors.nodes(machine), ours))
    assert [(cell.cpuset, cell.pcpuset, cell.free_pcpus) for cell in told.cells] == [
        ({1}, set(), set()),
        (set(), {2}, {2}),
    ]
    assert topology.of_host([], Processors(shared=FOUR)) is None


def _wanting(*cells: objects.InstanceNUMACell) -> SimpleNamespace:
    return SimpleNamespace(numa_topology=objects.InstanceNUMATopology(cells=list(cells)))


def test_a_server_s_own() -> None:
    pinned = objects.InstanceNUMACell(id=1, cpuset=set(), pcpuset={0, 1}, memory=64, cpu_pinning={0: 3, 1: 2})
    assert topology.of_server(_wanting(pinned), PINNED) == ("2,3", "1")
    mixed = objects.InstanceNUMACell(id=0, cpuset={1}, pcpuset={0}, memory=64, cpu_pinning={0: 3})
    assert topology.of_server(_wanting(mixed), PINNED) == ("1,3", "0")
    assert topology.of_server(SimpleNamespace(numa_topology=None), PINNED) == ("1", "")
    assert topology.of_server(object(), Processors(shared=FOUR)) == ("", "")


@pytest.fixture
def divided(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    monkeypatch.setattr(processors, "online", lambda: frozenset({0, 1}))
    CONF.set_override("cpu_dedicated_set", "1", "compute")
    CONF.set_override("cpu_shared_set", "0", "compute")
    CONF.set_override("reserved_host_cpus", 0)
    yield bench
    for name in ("cpu_dedicated_set", "cpu_shared_set"):
        CONF.clear_override(name, "compute")
    CONF.clear_override("reserved_host_cpus")


def test_placement_and_a_server(divided: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(topology, "neighbours", lambda *_, **__: [("vm", frozenset({0}))])
    made, server = divided.driver(), divided.server()
    made.init_host("host-docker")
    tree = trees.ProviderTree()
    tree.new_root("host-docker", "0bd09d7e-7d8b-4ab0-9bdf-8b0f3b8f3c6f")
    made.update_provider_tree(tree, "host-docker")
    inventory = tree.data("host-docker").inventory
    assert [(inventory[kind]["total"], inventory[kind]["reserved"]) for kind in ("PCPU", "VCPU")] == [
        (1, 0),
        (1, 0),
    ]
    assert inventory["PCPU"]["allocation_ratio"] == 1.0
    server.numa_topology = objects.InstanceNUMATopology(
        cells=[objects.InstanceNUMACell(id=0, cpuset=set(), pcpuset={0}, memory=64, cpu_pinning={0: 1})]
    )
    spawn(made, server, [])
    spec = divided.engine.specs[names.container(uuid=server.uuid, role=names.WORKLOAD)]
    assert (spec.cpuset, spec.memory_nodes) == ("1", "0")
    made.cleanup_host("host-docker")


def test_it_does_not_start_on_another_s_processors(divided: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(topology, "neighbours", lambda *_, **__: [("vm", frozenset({0, 1}))])
    with pytest.raises(exception.NovaException, match="vm uses too"):
        divided.driver().init_host("host-docker")


def test_who_is_beside_us(monkeypatch: pytest.MonkeyPatch) -> None:
    vm = SimpleNamespace(hypervisor_hostname="vm", numa_topology=topology.of_host(processors.nodes(), PINNED))
    known = {"chassis": [vm, SimpleNamespace(hypervisor_hostname="x", numa_topology=None)]}

    def found(context: object, host: str) -> list[SimpleNamespace]:
        if host not in known:
            raise exception.ComputeHostNotFound(host=host)
        return known[host]

    monkeypatch.setattr(objects.ComputeNodeList, "get_all_by_host", found)
    (one,) = topology.neighbours(CONTEXT, host="chassis", ours="chassis-docker")
    assert one[0] == "vm"
    assert topology.neighbours(CONTEXT, host="elsewhere", ours="chassis-docker") == []
    assert topology.neighbours(CONTEXT, host="chassis", ours="chassis") == []
