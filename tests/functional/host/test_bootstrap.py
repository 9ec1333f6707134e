# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""First-time work on a made-up cloud below a folder of its own: whole or not at all, and once."""

import os
import pwd
from dataclasses import replace
from pathlib import Path

import pymysql
import pytest
from tests.fakes import clouds
from tests.functional.host import grounds

from novadocker import poll, run
from novadocker.errors import NovaDockerError
from novadocker.host import mounts
from novadocker.host.bootstrap import databases, storage, switch


def _owner(path: Path) -> str:
    return pwd.getpwuid(path.stat().st_uid).pw_name


def test_files_belong_to_who_reads_them(written):
    etc, data = written.layout.etc, written.layout.data
    assert _owner(etc / "nova" / "nova.conf") == "nova-docker"
    assert _owner(etc / "nova-docker" / "nova-docker.conf") == "root"
    assert _owner(data / "rabbitmq" / ".erlang.cookie") == "rabbitmq"
    assert _owner(etc / "start" / "mariadb") == "root"
    as_user = ["setpriv", "--reuid=nova-docker", "--regid=nova-docker", "--init-groups", "--"]
    assert "password-of-nova-db" in run.run([*as_user, "cat", etc / "nova" / "nova.conf"]).out
    of_others = (
        etc / "neutron-agent" / "agent.conf",
        data / "rabbitmq" / ".erlang.cookie",
        etc / "start" / "nova-api",
    )
    for file in of_others:
        assert run.run([*as_user, "cat", file], check=False).code != 0, file


def test_a_changed_file_is_put_right(written):
    file = written.layout.etc / "nova" / "nova.conf"
    file.chmod(0o644)
    (written.layout.etc / "start" / "mariadb").write_text("")
    assert grounds.write_files(written)
    assert file.stat().st_mode & 0o777 == 0o600
    assert not grounds.write_files(written)


def _as(cloud, user: str, database: str, password: str) -> list[str]:
    connection = pymysql.connect(
        unix_socket=str(cloud.layout.mysql_socket), user=user, password=password, database=database
    )
    with connection, connection.cursor() as cursor:
        cursor.execute("SHOW TABLES")
        return [row[0] for row in cursor.fetchall()]


def test_mariadb_from_nothing(written):
    grounds.require("mariadb-install-db", "mariadbd")
    cloud = written
    unfinished = cloud.layout.data / "mariadb.unfinished"
    unfinished.mkdir()
    (unfinished / "half").touch()
    assert databases.make_files(cloud)
    assert not unfinished.exists()
    assert not (cloud.layout.data / "mariadb" / "half").exists()
    assert _owner(cloud.layout.data / "mariadb" / "ibdata1") == "nova-docker"
    assert not databases.make_files(cloud)
    with pytest.raises(NovaDockerError, match="does not let us in"), databases.root_session(cloud):
        pytest.fail("nobody listens")

    with grounds.mariadb(cloud):
        assert databases.tables(cloud) == {}
        for name in ("nova", "nova_cell0", "keystone"):
            databases.make_database(cloud, name, anew=True)
        assert databases.tables(cloud) == {"nova": 0, "nova_cell0": 0, "keystone": 0}
        with databases.root_session(cloud) as cursor:
            cursor.execute("CREATE TABLE nova.half (x INT)")
            cursor.execute("SELECT user FROM mysql.user WHERE user = ''")
            assert cursor.fetchall() == ()
        databases.make_database(cloud, "nova", anew=False)
        assert databases.tables(cloud)["nova"] == 1
        assert _as(cloud, "nova", "nova", "password-of-nova-db") == ["half"]
        assert _as(cloud, "nova", "nova_cell0", "password-of-nova-db") == []
        for database, password in (("keystone", "password-of-nova-db"), ("nova", "wrong")):
            with pytest.raises(pymysql.MySQLError, match="denied"):
                _as(cloud, "nova", database, password)
        databases.make_database(cloud, "nova", anew=True)
        assert databases.tables(cloud)["nova"] == 0

    other = replace(cloud, secrets=replace(clouds.SECRETS, values=clouds.SECRETS.values | {"nova-db": "new"}))
    with grounds.mariadb(cloud):
        databases.make_database(other, "nova", anew=False)
        assert _as(cloud, "nova", "nova", "new") == []


def test_mariadb_that_cannot_be_made_leaves_nothing_that_looks_made(cloud, folder, monkeypatch):
    program = folder / "bin" / "mariadb-install-db"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\necho '[ERROR] no room' ; exit 1\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    with pytest.raises(run.CommandFailed) as caught:
        databases.make_files(cloud)
    assert "no room" in caught.value.facts
    assert not (cloud.layout.data / "mariadb").exists()


@pytest.fixture
def homes(cloud):
    for name in ("ovs", "ovn"):
        (cloud.layout.data / name).mkdir()
    return cloud


def _schema(file: Path) -> str:
    return run.run(["ovsdb-tool", "db-name", file]).out.strip()


def test_the_switchs_and_ovns_databases_are_made_once(homes):
    grounds.require("ovsdb-tool")
    data = homes.layout.data
    assert switch.make_switch_database(homes)
    assert switch.make_ovn_databases(homes)
    found = {path.relative_to(data): (_schema(path), _owner(path)) for path in data.rglob("*.db")}
    assert found == {
        Path("ovs/conf.db"): ("Open_vSwitch", "root"),
        Path("ovn/ovnnb.db"): ("OVN_Northbound", "nova-docker"),
        Path("ovn/ovnsb.db"): ("OVN_Southbound", "nova-docker"),
    }
    assert not switch.make_switch_database(homes)
    assert not switch.make_ovn_databases(homes)
    (data / "ovn" / "ovnsb.db").unlink()
    assert switch.make_ovn_databases(homes)


def test_an_interrupted_creation_leaves_no_half_database(homes, monkeypatch):
    grounds.require("ovsdb-tool")
    data, real = homes.layout.data / "ovs", run.run

    def interrupted(command, **options):
        Path(command[2]).write_text("half")
        raise KeyboardInterrupt

    monkeypatch.setattr(switch.run, "run", interrupted)
    with pytest.raises(KeyboardInterrupt):
        switch.make_switch_database(homes)
    assert not (data / "conf.db").exists()
    monkeypatch.setattr(switch.run, "run", real)
    assert switch.make_switch_database(homes)
    # ovsdb-tool locks what it makes.
    assert {path.name for path in data.iterdir()} - {".conf.unfinished.~lock~"} == {"conf.db"}
    assert _schema(data / "conf.db") == "Open_vSwitch"


@pytest.fixture
def small(cloud):
    if "btrfs" not in Path("/proc/filesystems").read_text():
        pytest.skip("machine cannot: mount btrfs")
    grounds.require("mkfs.btrfs", "losetup")
    share = replace(cloud.split.docker, disk_gb=0, reserved_disk_gb=0)
    made = replace(cloud, split=replace(cloud.split, docker=share))
    yield made
    for folder in (made.layout.root, made.layout.run):
        mounts.unmount_below(folder)
    _wait_for_loops(made)


def _wait_for_loops(cloud) -> None:
    # The kernel detaches them with the last unmount, but a moment later.
    poll.until(
        lambda: None if not mounts.loops_on(cloud.layout.root) else "attached",
        why="The loop device is free",
        seconds=5,
        pause=0.01,
    )


def test_storage_is_mounted_once_and_keeps_what_is_in_it(small):
    folder = small.layout.data / "docker"
    folder.mkdir()
    (folder / "storage.unfinished").write_text("half")
    assert storage.mount(small)
    assert run.run(["stat", "-f", "-c", "%T", folder / "storage"]).out == "btrfs\n"
    assert not (folder / "storage.unfinished").exists()
    file = folder / "storage.btrfs"
    assert file.stat().st_size == 2 * 1024**3
    assert file.stat().st_blocks * 512 < 100 * 1024**2  # sparse
    (folder / "storage" / "kept").touch()
    assert not storage.mount(small)
    assert mounts.unmount_below(small.layout.root) == 1
    _wait_for_loops(small)
    assert storage.mount(small)
    assert (folder / "storage" / "kept").exists()


def test_the_namespaces_folder_is_a_shared_mount(small):
    assert storage.share_namespaces(small)
    assert not storage.share_namespaces(small)
    folder = small.layout.run / "netns"
    assert run.run(["findmnt", "-n", "-o", "PROPAGATION", folder]).out.strip() == "shared"
