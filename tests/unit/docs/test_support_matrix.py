# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""The support matrix says neither more nor less than the driver does."""

import ast
from collections.abc import Mapping

import pytest
from nova.virt.driver import ComputeDriver
from tools.reference import matrix, pages

from novadocker.virt.docker import DockerDriver
from novadocker.virt.docker.capabilities import CAPABILITIES

ROWS = matrix.read(pages.ROOT / matrix.SOURCE)
SUPPORT = {row.key: row.support for row in ROWS}

# What a driver does itself, for each of Nova's keys. A key that is absent is nothing a driver has a method
# for: Nova does it by other means (rebuild out of destroy and spawn), or it is a matter of how a server is
# made.
METHODS: Mapping[str, tuple[str, ...]] = {
    "operation.attach-volume": ("attach_volume",),
    "operation.detach-volume": ("detach_volume",),
    "operation.extend-volume": ("extend_volume",),
    "operation.swap-volume": ("swap_volume",),
    "operation.attach-interface": ("attach_interface",),
    "operation.detach-interface": ("detach_interface",),
    "operation.maintenance-mode": ("host_maintenance_mode", "set_host_enabled"),
    "operation.get-guest-info": ("get_info", "list_instances", "list_instance_uuids"),
    "operation.get-host-uptime": ("get_host_uptime",),
    "operation.get-host-ip": ("get_host_ip_addr",),
    "operation.live-migrate": (
        "live_migration",
        "pre_live_migration",
        # Not check_can_live_migrate_destination, which is where a driver refuses.
        "check_can_live_migrate_source",
    ),
    "operation.force-live-migration-to-complete": ("live_migration_force_complete",),
    "operation.abort-in-progress-live-migration": ("live_migration_abort",),
    "operation.launch": ("spawn",),
    "operation.pause": ("pause",),
    "operation.unpause": ("unpause",),
    "operation.reboot": ("reboot",),
    "operation.rescue": ("rescue", "unrescue"),
    "operation.resize": (
        "migrate_disk_and_power_off",
        "finish_migration",
        "confirm_migration",
        "finish_revert_migration",
    ),
    "operation.suspend": ("suspend",),
    "operation.resume": ("resume",),
    "operation.set-admin-password": ("set_admin_password",),
    "operation.snapshot": ("snapshot",),
    "operation.terminate": ("destroy", "cleanup"),
    "operation.trigger-crash-dump": ("trigger_crash_dump",),
    "operation.quiesce": ("quiesce",),
    "operation.unquiesce": ("unquiesce",),
    "operation.cache-images": ("cache_image", "manage_image_cache"),
    "console.serial.log": ("get_console_output",),
    "console.serial.interactive": ("get_serial_console",),
    "console.spice": ("get_spice_console",),
    "console.vnc": ("get_vnc_console",),
    # Not get_volume_connector: it is where the driver says that there are none.
    "storage.block": ("attach_volume", "detach_volume"),
}

FLAGS = {
    "operation.evacuate": "supports_evacuate",
    "operation.attach-interface": "supports_attach_interface",
    "operation.attach-tagged-interface": "supports_tagged_attach_interface",
    "operation.attach-tagged-volume": "supports_tagged_attach_volume",
    "operation.extend-volume": "supports_extend_volume",
    "operation.multiattach-volume": "supports_multiattach",
    "operation.device-tags": "supports_device_tagging",
    "operation.trusted-certs": "supports_trusted_certs",
    "operation.cache-images": "has_imagecache",
    "operation.boot-emulated-tpm": "supports_vtpm",
    "storage.image": "supports_image_type_raw",
}
# Nova's matrix has no row for these.
WITHOUT_ROW = {
    "supports_migrate_to_same_host",
    "supports_pcpus",
    "supports_accelerators",
    "supports_remote_managed_ports",
}


def _overridden(method: str) -> bool:
    return getattr(DockerDriver, method) is not getattr(ComputeDriver, method)


@pytest.mark.parametrize("key", METHODS)
def test_a_row_s_methods_are_there_or_not_as_it_says(key: str) -> None:
    there = {method: _overridden(method) for method in METHODS[key]}
    if SUPPORT[key] == "missing":
        assert not any(there.values()), f"{key} is missing, but: {there}"
    else:
        assert all(there.values()), f"{key} is {SUPPORT[key]}, but: {there}"


@pytest.mark.parametrize("key", FLAGS)
def test_a_row_s_capability_is_claimed_or_not_as_it_says(key: str) -> None:
    claimed = {**ComputeDriver.capabilities, **CAPABILITIES}[FLAGS[key]]
    assert claimed is (SUPPORT[key] != "missing"), f"{key} is {SUPPORT[key]}, {FLAGS[key]} is {claimed}"


def test_every_capability_we_speak_of_has_a_row() -> None:
    assert set(CAPABILITIES) <= {*FLAGS.values(), *WITHOUT_ROW}


def test_no_operation_has_come_without_its_row() -> None:
    # Reverse: what the driver overrides of the operations a user can ask for is stated as being there.
    stated = {method for key, methods in METHODS.items() if SUPPORT[key] != "missing" for method in methods}
    asked_for = {method for methods in METHODS.values() for method in methods}
    assert {method for method in asked_for if _overridden(method)} == stated


# What a container server may be without: what the project leaves out, and what lies in a container's nature
# or in no driver of Nova's at all.
LEFT_OUT = {
    "live migration": (
        "operation.live-migrate",
        "operation.force-live-migration-to-complete",
        "operation.abort-in-progress-live-migration",
    ),
    "VNC and SPICE": ("console.vnc", "console.spice"),
    "volumes": (
        "operation.attach-volume",
        "operation.attach-tagged-volume",
        "operation.detach-volume",
        "operation.extend-volume",
        "operation.swap-volume",
        "operation.multiattach-volume",
        "operation.rebuild-volume-backed",
        "operation.encrypted-volume",
        "storage.block",
        "storage.block.backend.fibrechannel",
        "storage.block.backend.iscsi",
        "storage.block.backend.iscsi.auth.chap",
    ),
    "vTPM and secure boot": (
        "operation.boot-emulated-tpm",
        "operation.uefi-boot",
        "operation.boot-stateless-firmware",
    ),
    "crash dump": ("operation.trigger-crash-dump",),
    "quiesce": ("operation.quiesce", "operation.unquiesce"),
    "no kernel, memory or partitions of its own": (
        "guest.disk.autoconfig",
        "operation.file-backed-memory",
        "operation.boot-encrypted-vm",
    ),
    "no driver has it": ("operation.maintenance-mode", "console.rdp"),
    "one chassis for two compute nodes": ("operation.port-with-resource-request",),
}


def test_nothing_is_missing_but_what_may_be() -> None:
    missing = {row.key for row in ROWS if row.support == "missing"}
    assert missing == {key for keys in LEFT_OUT.values() for key in keys}


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.key)
def test_a_row_is_whole(row: matrix.Row) -> None:
    assert row.support in {"complete", "partial", "missing"}
    assert row.beside in {"complete", "partial", "missing", "unknown"}
    assert row.notes.endswith(".")
    assert row.notes.startswith(("Not yet", "Never")) is (row.support == "missing")
    assert bool(row.proof) is (row.support == "complete"), "a test shows what is complete, and only that"
    if row.proof:
        assert row.proof.startswith("tests/e2e/"), "through the API of a real cloud"
        file, _, name = row.proof.partition("::")
        tree = ast.parse((pages.ROOT / file).read_text())
        assert name in {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


def test_the_mandatory_rows_are_there() -> None:
    assert {
        row.key: row.support for row in ROWS if row.status == "mandatory" and row.support == "missing"
    } == {}
    consoles = {row.support for row in ROWS if row.status == "choice(console)"}
    assert "complete" in consoles
