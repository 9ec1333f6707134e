# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""The pure rooms: tables of cases."""

from dataclasses import replace
from pathlib import Path

import pytest
from nova.compute import power_state
from tests.fakes.engine import FACTS

from novadocker import extra_specs
from novadocker.errors import NovaDockerError
from novadocker.virt.docker import facts, faults, identities, names, power, spec
from novadocker.virt.docker.conf import list_opts

RUNNING = power.Container(id="1", name="nova-1", status="running")


@pytest.mark.parametrize(
    ("status", "oom", "state"),
    [
        ("created", False, power_state.SHUTDOWN),
        ("running", False, power_state.RUNNING),
        ("paused", False, power_state.PAUSED),
        ("restarting", False, power_state.RUNNING),
        ("removing", False, power_state.SHUTDOWN),
        ("exited", False, power_state.SHUTDOWN),
        # Nova takes no note of the event of an end where it finds CRASHED.
        ("exited", True, power_state.SHUTDOWN),
        ("dead", False, power_state.SHUTDOWN),
        ("something new", False, power_state.NOSTATE),
    ],
)
def test_power(status: str, oom: bool, state: int) -> None:
    assert power.state(replace(RUNNING, status=status, oom_killed=oom)) == state


@pytest.mark.parametrize(
    ("status", "code", "oom", "words"),
    [
        ("running", 0, False, ""),
        ("created", 0, False, ""),
        ("exited", 0, False, "ended with exit code 0"),
        ("exited", 3, False, "ended with exit code 3"),
        ("exited", 137, False, "was ended by signal 9 (exit code 137)"),
        ("exited", 137, True, "was killed: it used more memory than its flavor has (exit code 137)"),
        (
            "exited", 3, True,
            "ended with exit code 3; before, it used more memory than its flavor has, and lost a process "
            "by it",
        ),
    ],
)  # fmt: skip
def test_epitaph(status: str, code: int, oom: bool, words: str) -> None:
    assert power.epitaph(replace(RUNNING, status=status, exit_code=code, oom_killed=oom)) == words


@pytest.mark.parametrize(
    ("wanted", "name"),
    [
        ("web-1", "web-1"),
        ("Web 1!", "web-1"),
        ("--", "server-x"),
        (None, "server-x"),
        ("a" * 80, "a" * 63),
        ("bücher", "b-cher"),
    ],
)
def test_hostnames(wanted: str | None, name: str) -> None:
    assert names.hostname(wanted, fallback="server-x") == name


def test_names_fit() -> None:
    port = "a428f937-f719-4b81-b667-458fc6fad73d"
    assert names.peer_device(port) == "ndpa428f937-f7"
    assert names.alias_owner(names.device_alias(host="h:1", port_id=port)) == "h:1"
    assert names.alias_owner("something else") is None


SERVER = spec.Server(
    uuid="u",
    name="instance-1",
    host="h",
    hostname="web",
    vcpus=8,
    memory_mb=512,
    swap_mb=256,
    root_gb=2,
)
GROUND = spec.Ground(files=Path("/srv/u"), pids=4096, cgroup_parent="/nova-docker/servers", disk_limit=True)
IMAGE = facts.Image(id="sha256:1", command=("httpd",))


def test_a_workload_has_its_flavor_s_limits() -> None:
    made = spec.workload(SERVER, image=IMAGE, ground=GROUND)
    assert (made.memory, made.swap, made.pids, made.disk) == (512 << 20, 256 << 20, 4096, 2 << 30)
    assert (made.cpu_shares, made.cpu_quota / made.cpu_period, made.rates) == (8192, 8, {})
    assert made.network == "container:nova-u-sandbox"
    assert made.cgroup_parent == "/nova-docker/servers"
    assert made.binds == {
        "/srv/u/resolv.conf": "/etc/resolv.conf",
        "/srv/u/hosts": "/etc/hosts",
        "/srv/u/hostname": "/etc/hostname",
    }
    assert "SYS_ADMIN" not in made.cap_add
    assert (made.no_new_privileges, made.read_only, made.tmpfs, made.shm) == (True, False, {}, 0)
    assert spec.workload(SERVER, image=IMAGE, ground=replace(GROUND, disk_limit=False)).disk == 0


def test_a_workload_is_as_its_flavor_chooses() -> None:
    choices = extra_specs.Choices(
        no_new_privileges=False,
        capabilities=("SETFCAP",),
        drop_capabilities=("NET_RAW",),
        pids=100,
        read_only_root=True,
        tmpfs=("/tmp", "/run"),
        shm_size_mb=256,
    )
    made = spec.workload(replace(SERVER, choices=choices), image=IMAGE, ground=GROUND)
    assert (made.no_new_privileges, made.read_only, made.pids, made.shm) == (False, True, 100, 256 << 20)
    assert "SETFCAP" in made.cap_add
    assert "NET_RAW" not in made.cap_add
    assert made.tmpfs == {
        "/tmp": "rw,nosuid,nodev,exec,size=256m,mode=1777",
        "/run": "rw,nosuid,nodev,exec,size=256m,mode=755",
    }


def test_a_workload_whose_namespaces_are_kept_joins_nobody() -> None:
    ground = replace(GROUND, keeps_namespaces=True)
    made, joining = (spec.workload(SERVER, image=IMAGE, ground=each) for each in (ground, GROUND))
    assert (made.network, made.hostname) == ("", SERVER.hostname)
    assert replace(made, network=joining.network, hostname="") == joining


def test_a_sandbox_can_do_nothing() -> None:
    made = spec.sandbox(SERVER, image="sha256:2", ground=GROUND)
    assert (made.network, made.read_only, made.cap_add, made.user) == ("", True, (), "65534:65534")
    assert made.stop_signal == "SIGKILL"


@pytest.mark.parametrize(
    ("default", "others", "wanted"),
    [
        ("nova-docker", ("nova-docker-sandbox",), "nova-docker-sandbox"),
        ("nova-docker", (), "runc"),
        ("runc", ("nova-docker-sandbox",), ""),
        ("kata", (), ""),
    ],
)
def test_a_sandbox_needs_no_guard_in_front_of_runc(
    default: str, others: tuple[str, ...], wanted: str
) -> None:
    found = replace(FACTS, runtime=default, runtimes=frozenset({default, *others}))
    ground = replace(GROUND, sandbox_runtime=found.sandbox_runtime)
    assert spec.sandbox(SERVER, image="sha256:2", ground=ground).runtime == wanted
    assert spec.workload(SERVER, image=IMAGE, ground=ground).runtime == ""


@pytest.mark.parametrize(
    ("entrypoint", "command", "override", "wanted"),
    [
        ((), ("httpd", "-f"), (), True),
        (("/docker-entrypoint.sh",), ("nginx",), (), True),
        ((), ("/sbin/init",), (), False),
        (("/init",), (), (), False),
        (("/usr/bin/tini", "--"), ("httpd",), (), False),
        ((), ("httpd",), ("/lib/systemd/systemd",), False),
        ((), (), (), False),
    ],
)
def test_process_one(
    entrypoint: tuple[str, ...], command: tuple[str, ...], override: tuple[str, ...], wanted: bool
) -> None:
    image = facts.Image(id="1", entrypoint=entrypoint, command=command)
    assert spec.wants_init(image, override) is wanted


PLAIN_XFS = "30 1 8:1 / /var/lib/docker rw,relatime - xfs /dev/sdb rw,attr2,inode64,noquota\n"
QUOTA_XFS = "30 1 8:1 / /var/lib rw,relatime - xfs /dev/sdb rw,attr2,inode64,prjquota\n"


@pytest.mark.parametrize(
    ("driver", "filesystem", "mounts", "supported"),
    [
        ("btrfs", "", "", True),
        ("overlay2", "xfs", QUOTA_XFS, True),
        ("overlay2", "xfs", PLAIN_XFS, False),
        ("overlay2", "xfs", QUOTA_XFS + PLAIN_XFS, False),
        ("overlay2", "extfs", QUOTA_XFS, False),
        ("vfs", "xfs", QUOTA_XFS, False),
    ],
)
def test_disk_limits(driver: str, filesystem: str, mounts: str, supported: bool) -> None:
    daemon = replace(FACTS, storage_driver=driver, backing_filesystem=filesystem)
    assert facts.disk_limit_supported(daemon, mounts) is supported


def test_what_a_daemon_does_not_hold_is_told() -> None:
    best = replace(FACTS, storage_driver="btrfs", seccomp=True, runtime="nova-docker")
    assert list(facts.shortcomings(best, disk_limit=True)) == []
    worst = replace(best, seccomp=False, runtime="runc", user_namespaces=False)
    assert [words.split()[:2] for words in facts.shortcomings(worst, disk_limit=False)] == [
        ["Docker's", "storage"],
        ["dockerd's", "runtime"],
        ["dockerd", "runs"],
        ["dockerd", "confines"],
    ]


@pytest.mark.parametrize(
    ("version", "number"),
    [("20.10.24+dfsg1", 20010024), ("28.2.2", 28002002), ("29.0", 29000000), ("dev", 0)],
)
def test_versions(version: str, number: int) -> None:
    assert replace(FACTS, version=version).version_number == number


def test_a_fault_holds_what_matters() -> None:
    error = NovaDockerError("It failed.", facts="Because.", hint="Do this.")
    assert faults.words(error) == "It failed. Because. Do this."
    long = NovaDockerError("It failed.", facts="x" * 165, hint="Do this.")
    assert faults.words(long) == f"It failed. {'x' * 165}"
    assert len(faults.words(NovaDockerError("y" * 500))) == 180


def test_options_are_listed() -> None:
    [(group, options)] = list_opts()
    assert group.name == "docker"
    assert {
        "host",
        "binding_host",
        "port_ready_timeout",
        "network_backend",
        "cgroup_parent",
        "pids_limit",
    } <= {option.dest for option in options}
    assert all(option.help for option in options)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("nova-docker:100000:65536\n", ((0, 100000, 65536),)),
        # A user's ranges follow each other inside: as they are written, or sorted, by who root is.
        ("a:100000:5\na:50000:10\n", ((0, 100000, 5), (5, 50000, 10))),
        ("a:300000:5\na:100000:10\nb:100005:7\n", ((0, 100000, 10), (10, 300000, 5))),
        ("other:200000:65536\n", ()),
        ("not of this form\n# a comment: 1\na:100000:\n", ()),
        ("", ()),
    ],
)
def test_whose_users_a_container_s_are(text: str, found: tuple[identities.Range, ...]) -> None:
    assert identities.ranges(100000, text) == found


def test_users_that_nobody_tells_are_an_error() -> None:
    told = "a:100000:65536\n"
    assert identities.of_root(100000, 100000, subuid=told, subgid=told).groups == ((0, 100000, 65536),)
    with pytest.raises(NovaDockerError, match="begins there"):
        identities.of_root(100000, 100000, subuid=told, subgid="")
