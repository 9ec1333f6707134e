# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""The system container image, as far as it is ours: its settings, its scripts, what cloud-init is told."""

import hashlib
import json
import stat
import tarfile

from ruamel.yaml import YAML

from novadocker.host.bootstrap import content
from novadocker.host.images import system


def test_it_runs_our_boot_and_shows_cloud_init_an_openstack() -> None:
    told = json.loads(system.configuration(["a" * 64, "b" * 64]))
    assert told["config"]["Cmd"] == [system.BOOT]
    assert "product_name=OpenStack Nova" in told["config"]["Env"]
    assert told["rootfs"]["diff_ids"] == [f"sha256:{'a' * 64}", f"sha256:{'b' * 64}"]
    assert len(told["history"]) == 2


def test_what_ends_it_can_be_run() -> None:
    nodes = {node.path: node for node in system._own()}
    for path in ("usr/lib/nova-docker/boot", "usr/lib/nova-docker/shutdown", "usr/sbin/runlevel"):
        assert stat.S_IMODE(nodes[path].mode) == 0o755
        assert nodes[path].content.startswith(b"#!/bin/sh\n")
    for name in ("halt", "poweroff", "reboot", "shutdown"):
        assert nodes[f"usr/sbin/{name}"].content == b"../lib/nova-docker/shutdown"
    assert f"/{next(path for path in nodes if path.endswith('boot'))}" == system.BOOT


def test_cloud_init_sets_nothing_the_driver_sets() -> None:
    told = YAML(typ="safe").load(system._content("cloud.cfg"))
    assert told["network"] == {"config": "disabled"}
    assert told["datasource_list"] == ["ConfigDrive", "OpenStack", "None"]
    modules = {module for key, value in told.items() if key.endswith("_modules") for module in value}
    assert not modules & {
        "set_hostname",
        "update_hostname",
        "update_etc_hosts",
        "growpart",
        "resizefs",
        "mounts",
    }
    assert {"ssh", "users-groups", "runcmd", "scripts-user"} <= modules
    assert YAML(typ="safe").load(system._content("local.cfg")) == {"datasource_list": ["ConfigDrive"]}


def test_the_archive_names_its_layers_by_what_is_in_them(tmp_path) -> None:
    system._pack(tmp_path / "image.tar", layers=[b"root", b"ours"])
    with tarfile.open(tmp_path / "image.tar") as tar:
        (told,) = json.load(tar.extractfile("manifest.json"))
        for path, layer in zip(told["Layers"], (b"root", b"ours"), strict=True):
            assert tar.extractfile(path).read() == layer
            assert path.startswith(hashlib.sha256(layer).hexdigest())
        assert told["Config"] == f"{hashlib.sha256(tar.extractfile(told['Config']).read()).hexdigest()}.json"


def test_only_its_own_flavor_lets_sudo_work() -> None:
    assert {flavor.name: dict(flavor.extra_specs) for flavor in content.FLAVORS if flavor.extra_specs} == {
        "system": {"docker:no_new_privileges": "false", "docker:capabilities": "SYS_BOOT"}
    }
