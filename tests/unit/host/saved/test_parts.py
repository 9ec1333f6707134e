# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
import pytest

from novadocker.host.saved import save
from novadocker.host.saved.parts import part_of

TRAVELS = {
    "mariadb/ibdata1": "mariadb",
    "mariadb/nova/instances.ibd": "mariadb",
    "mariadb/aria_log_control": "mariadb",
    "mariadb/mysql/#sql-1.frm": "mariadb",
    "ovn/ovnnb.db": "ovn",
    "glance/images/7d6b6c0e-6f0a-4e6f-8d3e-2f1c1b1b1b1b": "glance/images",
    "keystone/fernet-keys/0": "keystone/fernet-keys",
    "schemas/nova": "schemas",
    "keys/nova-docker": "keys",
    "nova-libvirt/compute_id": "nova-libvirt",
    "secrets.json": "",
}
STAYS = [
    "state.json",
    "arrival.json",
    "ovn/ovnsb.db",
    "ovs/conf.db",
    "mariadb/ibtmp1",
    "mariadb/ib_buffer_pool",
    "docker/storage.btrfs",
    "rabbitmq/.erlang.cookie",
    "nova-libvirt/instances/one/disk",
    "glance/staging/7d6b6c0e",
    "mariadb/a/b/c",
    "mariadb",
]
LEADS_ELSEWHERE = [
    "../etc/passwd",
    "/etc/passwd",
    "mariadb/../../x",
    "mariadb/..",
    "keys/.ssh",
    "mariadb//x",
    "keys/",
    "keys/a\nb",
    "",
]


@pytest.mark.parametrize(("path", "folder"), TRAVELS.items())
def test_what_travels(path, folder):
    found = part_of(path)
    assert found is not None
    assert found.folder == folder


@pytest.mark.parametrize("path", [*STAYS, *LEADS_ELSEWHERE])
def test_what_does_not(path):
    assert part_of(path) is None


def test_the_files_of_a_cloud_that_travel_are_found_once(tmp_path):
    for path in (*TRAVELS, *(path for path in STAYS if path != "mariadb")):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).touch()
    (tmp_path / "keys" / "link").symlink_to("/etc/passwd")
    assert sorted(save.travelling(tmp_path)) == sorted(TRAVELS)
