# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
from dataclasses import replace

import pytest
from tests.fakes import clouds
from tests.fakes.supervisor import FakeSupervisor

from novadocker.host import apply
from novadocker.host.services import registry
from novadocker.host.supervise import units
from novadocker.host.supervise.door import Supervision

CLOUD = clouds.cloud()
SERVICES = registry.services(CLOUD)
FILES = {file.path.name: file.content for file in units.files(CLOUD, SERVICES)}
# systemd.exec(5): each of these gives the service a mount namespace.
MOUNT_NAMESPACE = (
    "PrivateTmp", "PrivateDevices", "PrivateMounts", "ProtectSystem", "ProtectHome", "ProtectKernelTunables",
    "ProtectKernelModules", "ProtectKernelLogs", "ProtectControlGroups", "ProtectProc", "ReadOnlyPaths",
    "ReadWritePaths", "InaccessiblePaths", "BindPaths", "BindReadOnlyPaths", "TemporaryFileSystem",
    "RootDirectory", "RootImage", "DynamicUser", "MountFlags", "NetworkNamespacePath", "MountAPIVFS",
)  # fmt: skip


def _lines(unit: str) -> list[str]:
    return FILES[unit].splitlines()


def test_every_service_has_a_unit_and_the_cloud_its_own():
    assert set(FILES) == {
        *(f"openstack-{name}.service" for name in SERVICES),
        "nova-docker.slice",
        "nova-docker.target",
        "nova-docker-boot.service",
        "nova-docker-servers.service",
        "nova-docker-logs.service",
    }
    assert units.beside("nova-docker") == {unit for unit in FILES if not unit.startswith("openstack-")}


def test_another_clouds_units_have_other_names():
    other = clouds.cloud(config=replace(CLOUD.config, name="second"))
    theirs = {file.path.name for file in units.files(other, SERVICES)}
    assert "openstack-second-keystone.service" in theirs
    assert not theirs & set(FILES)


def test_no_clouds_service_is_taken_for_anothers():
    # openstack-A-B is the service B of the cloud A alone if no service's name ends with another's.
    for name in SERVICES:
        assert not [other for other in SERVICES if other.endswith(f"-{name}")], name


@pytest.mark.parametrize(
    ("cloud", "slice_", "group"),
    [
        ("second", "second.slice", "second.slice"),
        ("nova-docker", "nova-docker.slice", "nova.slice/nova-docker.slice"),
        ("nova-docker-b", "nova\\x2ddocker\\x2db.slice", "nova\\x2ddocker\\x2db.slice"),
        ("a--b", "a\\x2d\\x2db.slice", "a\\x2d\\x2db.slice"),
        ("a-", "a\\x2d.slice", "a\\x2d.slice"),
    ],
)
def test_slices(cloud, slice_, group):
    assert units.slice_(cloud) == slice_
    assert units.group(slice_) == group


def test_no_unit_has_a_mount_namespace():
    for unit, text in FILES.items():
        options = {line.partition("=")[0] for line in text.splitlines()}
        assert not options & set(MOUNT_NAMESPACE), unit


def test_what_runs_as_a_user_is_confined_and_what_runs_servers_is_not():
    for name, service in SERVICES.items():
        assert ("NoNewPrivileges=yes" in _lines(units.service(name, "nova-docker"))) == bool(service.user), (
            name
        )


def test_what_holds_servers_is_left_alone_when_its_daemon_ends():
    for name, service in SERVICES.items():
        lines = _lines(units.service(name, "nova-docker"))
        assert f"KillMode={'process' if service.outlives else 'mixed'}" in lines
        assert ("OOMPolicy=continue" in lines) == bool(service.outlives)


def test_nobody_requires_another():
    for text in FILES.values():
        assert "Requires=" not in text
        assert "BindsTo=" not in text


@pytest.mark.parametrize("backend", ["ovn", "ovs"])
def test_all_are_ordered_after_what_their_steps_needed(backend):
    cloud = clouds.cloud(config=replace(CLOUD.config, network_backend=backend))
    services = registry.services(cloud)
    supervision = Supervision(supervisor=FakeSupervisor(), settings=(), scripts={}, groups={})
    applier = apply.Applier(cloud, services=services, supervision=supervision)
    steps = {step.name: step for step in applier.steps()}
    for name, service in services.items():
        after = set(units.needs(service, services))
        for need in set(service.needs) - set(services):
            behind = set(steps[need].needs) & set(services)
            assert behind <= after, (name, need)


def test_the_one_that_is_killed_to_stop_has_not_failed():
    lines = _lines("openstack-ovn-controller.service")
    assert "KillSignal=SIGKILL" in lines
    assert "SuccessExitStatus=SIGKILL" in lines


def test_the_servers_end_between_those_who_watch_and_those_who_run_them():
    lines = _lines("nova-docker-servers.service")
    assert "Before=openstack-nova-libvirt.service openstack-nova-docker.service" in lines
    (after,) = (line for line in lines if line.startswith("After="))
    assert {"openstack-dockerd.service", "openstack-libvirtd.service"} <= set(after[6:].split())


def test_the_boot_runs_up_with_what_the_user_chose():
    chosen = replace(CLOUD.config, file=CLOUD.config.root / "50%.toml")
    text = {f.path.name: f.content for f in units.files(clouds.cloud(config=chosen), SERVICES)}
    start = "ExecStart=/opt/venv/bin/nova-docker --name nova-docker --root /var/lib/nova-docker"
    assert f"{start} --run-dir /run/nova-docker up\n" in FILES["nova-docker-boot.service"]
    assert "--config /var/lib/nova-docker/50%%.toml up\n" in text["nova-docker-boot.service"]


def test_no_password_is_in_a_unit():
    for text in FILES.values():
        assert "password-of" not in text
