# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""From what was asked for and what was found: one decision, with the source of each part."""

from dataclasses import dataclass, field
from pathlib import Path

from novadocker.host.evidence import switch
from novadocker.host.overlay import judge, model, shares
from novadocker.host.overlay.look import Seen
from novadocker.host.overlay.model import Fact, Problem, Wanted
from novadocker.host.overlay.shares import Amounts, Division

FILTER = "novadocker.scheduler.image_kind.ImageKindFilter"
ALL_FILTERS = "nova.scheduler.filters.all_filters"
# Nova's own, where nothing else is said (nova/conf/scheduler.py; a functional test compares).
USUAL_FILTERS = (
    "ComputeFilter", "ComputeCapabilitiesFilter", "ImagePropertiesFilter", "ServerGroupAntiAffinityFilter",
    "ServerGroupAffinityFilter",
)  # fmt: skip
# What nova-compute keeps back of the memory where nothing is said, MiB (nova/conf/compute.py).
USUAL_RESERVED_MB = 512


@dataclass(frozen=True, kw_only=True)
class Decided:
    """All that the files and the steps are made from."""

    host: str
    libvirt_host: str
    binding_host: str
    backend: str
    ovsdb: Path
    nova_conf: Path
    libvirt_unit: str
    program: Path
    docker_socket: Path
    own_engine: bool
    division: Division
    log_file: str
    available_filters: tuple[str, ...]
    enabled_filters: tuple[str, ...]
    filter_is_there: bool
    old_filters: tuple[str, ...]
    moved_id: tuple[Path, Path] | None
    python: str
    controller_python: str
    package: str
    facts: tuple[Fact, ...] = ()
    problems: tuple[Problem, ...] = ()


@dataclass
class _Notes:
    facts: list[Fact] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)

    def take(self, what: str, *found: tuple[object, str]) -> str:
        """Note and return the first value that is something."""
        value, source = next(((each, source) for each, source in found if each), ("", "not found"))
        self.facts.append(Fact(what=what, value=str(value), source=source))
        return str(value)


def decide(wanted: Wanted, seen: Seen) -> Decided:
    """Decide, note each source, and name what is in the way.

    :raises NovaDockerError: if more was asked for than there is.
    """
    notes = _Notes()
    nova = str(wanted.nova_conf)
    libvirt_host = notes.take(
        "this host in Nova", (seen.libvirt.get("host"), nova), (seen.hostname, "the host name")
    )
    host = notes.take(
        "the docker service's host",
        (seen.earlier.get("host"), f"{model.OVERLAY}: a service's host is never renamed"),
        (wanted.host, "--host"),
        (f"{libvirt_host}-docker", "this host's name in Nova"),
    )
    backend, binding_host = _network(wanted, seen, notes)
    program = notes.take(
        "nova-compute",
        (seen.program, seen.program_source),
        ("/usr/bin/nova-compute", "assumed: none was found"),
    )
    own = wanted.docker_socket is None
    notes.take(
        "dockerd",
        (wanted.docker_socket, "--docker-socket"),
        (model.SOCKET, "one of its own, beside any that is here"),
    )
    division = _division(wanted, seen, notes)
    available, enabled, old, there = _filters(wanted, seen, notes)
    python = _python(Path(program))
    ovsdb = wanted.ovsdb or switch.USUAL_SOCKET
    notes.take("Open vSwitch's database", (wanted.ovsdb, "--ovsdb-socket"), (ovsdb, "where it usually is"))
    log = seen.nova.get("log_file") or seen.nova.get("log_dir")
    folder = Path(seen.nova.get("log_dir") or Path(seen.nova.get("log_file") or "/var/log/nova/x").parent)
    notes.problems += judge.problems(
        wanted, seen, host=host, backend=backend, program_found=seen.program is not None
    )
    return Decided(
        host=host,
        libvirt_host=libvirt_host,
        binding_host=binding_host,
        backend=backend,
        ovsdb=ovsdb,
        nova_conf=wanted.nova_conf,
        libvirt_unit=seen.libvirt_unit or "nova-compute",
        program=Path(program),
        docker_socket=wanted.docker_socket or model.SOCKET,
        own_engine=own,
        division=division,
        log_file=str(folder / "nova-docker.log") if log else "",
        available_filters=available,
        enabled_filters=enabled,
        filter_is_there=there,
        old_filters=old,
        moved_id=judge.moved_id(wanted, seen),
        python=python,
        controller_python=wanted.controller_python or python,
        package=wanted.package,
        facts=tuple(notes.facts),
        problems=tuple(notes.problems),
    )


def _network(wanted: Wanted, seen: Seen, notes: _Notes) -> tuple[str, str]:
    """Which backend makes ports work, and under which name it knows this host."""
    ovn = seen.external_ids.get("ovn-remote")
    agent = "neutron-openvswitch-agent"
    by_files = "ovs" if seen.neutron.has("ovs") or seen.neutron.has("agent") else ""
    backend = notes.take(
        "network backend",
        (wanted.backend, "--backend"),
        ("ovn" if ovn else "", f"Open vSwitch's external_ids: ovn-remote={ovn}"),
        ("ovs" if agent in seen.agents else "", f"{agent} runs here"),
        (by_files, "openvswitch_agent.ini in /etc/neutron"),
        ("ovn", f"assumed: {seen.no_switch or 'neither a chassis nor an agent was found'}"),
    )
    chassis = seen.external_ids.get("hostname") if backend == "ovn" else ""
    binding = notes.take(
        "this host in Neutron",
        (wanted.binding_host, "--binding-host"),
        (chassis, "Open vSwitch's external_ids: hostname, the chassis' name"),
        (seen.neutron.get("host") if backend == "ovs" else "", "/etc/neutron: the agent's host"),
        (seen.hostname, "the host name, assumed: nothing on this host says otherwise"),
    )
    return backend, binding


def _division(wanted: Wanted, seen: Seen, notes: _Notes) -> Division:
    conf, machine = seen.libvirt, seen.machine
    kept = Amounts(
        cpus=conf.number("reserved_host_cpus", usual=0),
        memory_mb=conf.number("reserved_host_memory_mb", usual=USUAL_RESERVED_MB),
        disk_gb=-(-conf.number("reserved_host_disk_mb", usual=0) // 1024),
    )
    shared = shares.processors(conf.get("cpu_shared_set", section="compute"))
    dedicated = shares.processors(conf.get("cpu_dedicated_set", section="compute"))
    beside = judge.beside_libvirt(seen)
    own = wanted.docker_socket is None
    pool = shared or (frozenset(range(machine.cpus)) - dedicated if dedicated else frozenset())
    division = shares.divide(
        machine=Amounts(
            cpus=machine.cpus,
            memory_mb=machine.memory_mb,
            # A file system of its own can be no larger than what is free.
            disk_gb=machine.disk_free_gb + kept.disk_gb if own else machine.disk_gb,
        ),
        kept=kept,
        wanted=Amounts(cpus=wanted.cpus, memory_mb=wanted.memory_mb, disk_gb=wanted.disk_gb),
        beside_libvirt=beside,
        disk_is_apart=own,
        pool=pool,
        pool_is_libvirt_s=bool(shared),
    )
    how = "half of what this host hands out" if beside else "all that this host does not keep back"
    has = division.containers
    notes.take("processors for containers", (has.cpus, "--cpus" if wanted.cpus else how))
    notes.take("memory for containers, MiB", (has.memory_mb, "--memory" if wanted.memory_mb else how))
    half = "half of what is free" if own else how
    notes.take("disk for containers, GiB", (has.disk_gb, "--disk" if wanted.disk_gb else half))
    notes.take(
        "kept back already",
        (f"{kept.cpus} processors, {kept.memory_mb} MiB, {kept.disk_gb} GiB",
         ", ".join(map(str, conf.files)) or "Nova's defaults"),
    )  # fmt: skip
    return division


def _filters(
    wanted: Wanted, seen: Seen, notes: _Notes
) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...], bool]:
    conf = seen.scheduler or seen.nova
    section = "filter_scheduler"
    lines = conf.all("available_filters", section=section)
    enabled = tuple(
        name
        for name in (word.strip() for word in conf.get("enabled_filters", section=section).split(","))
        if name
    )
    source = str(wanted.scheduler_conf or wanted.nova_conf)
    notes.take(
        "the scheduler's filters",
        (",".join(enabled), source),
        (",".join(USUAL_FILTERS), f"Nova's defaults: {source} names none"),
    )
    there = FILTER in lines and "ImageKindFilter" in enabled
    before = enabled or USUAL_FILTERS
    return (
        (*(line for line in lines or (ALL_FILTERS,) if line != FILTER), FILTER),
        before if "ImageKindFilter" in before else (*before, "ImageKindFilter"),
        tuple([*(f"available_filters = {line}" for line in lines),
               *([f"enabled_filters = {','.join(enabled)}"] if enabled else [])]),
        there,
    )  # fmt: skip


def _python(program: Path) -> str:
    """The Python that runs a console script: the one of its own environment, else the system's."""
    beside = program.with_name("python")
    return str(beside) if beside.exists() or program.parent != Path("/usr/bin") else "/usr/bin/python3"
