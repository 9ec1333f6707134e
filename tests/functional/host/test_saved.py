# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""A database that is written to while its files are copied, the copy mended, and its passwords renewed."""

import os
import shutil
import signal
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import psutil
import pymysql
import pytest
from tests.fakes import clouds
from tests.functional.host import grounds

from novadocker import poll
from novadocker.errors import NovaDockerError
from novadocker.host.bootstrap import arrival, databases
from novadocker.host.saved import copied, still
from novadocker.host.services import mariadb

# The columns that are spoken of, as the services' own migrations make them.
TABLES = """
CREATE TABLE keystone.local_user (id INT PRIMARY KEY, name VARCHAR(255), domain_id VARCHAR(64));
CREATE TABLE keystone.password (id INT PRIMARY KEY, local_user_id INT, password_hash VARCHAR(255),
 expires_at DATETIME, expires_at_int BIGINT);
CREATE TABLE keystone.credential (id VARCHAR(64));
CREATE TABLE nova_api.key_pairs (id INT, name VARCHAR(255), public_key TEXT);
CREATE TABLE nova_api.build_requests (instance_uuid VARCHAR(36));
CREATE TABLE nova.instances (uuid VARCHAR(36), display_name VARCHAR(255), deleted INT);
CREATE TABLE nova_cell0.instances (uuid VARCHAR(36), display_name VARCHAR(255), deleted INT);
CREATE TABLE nova.services (host VARCHAR(255), last_seen_up DATETIME, deleted INT);
CREATE TABLE nova.compute_nodes (uuid VARCHAR(36), deleted INT);
CREATE TABLE neutron.agents (heartbeat_timestamp DATETIME);
CREATE TABLE neutron.ovn_hash_ring (node_uuid VARCHAR(36));
CREATE TABLE placement.resource_providers (id INT, uuid VARCHAR(36));
CREATE TABLE placement.inventories (resource_provider_id INT, total INT);
CREATE TABLE glance.images (id VARCHAR(36), status VARCHAR(30));
INSERT INTO keystone.local_user VALUES (1, 'admin', 'default'), (2, 'admin', 'other'),
 (3, 'alice', 'default');
INSERT INTO keystone.password VALUES (1, 1, 'saved', NULL, NULL), (2, 2, 'saved', NULL, NULL),
 (3, 3, 'saved', NULL, NULL);
INSERT INTO nova_api.key_pairs VALUES (1, 'nova-docker', 'saved'), (2, 'nova-docker', 'a user''s'),
 (3, 'mine', 'saved');
INSERT INTO nova.instances VALUES ('gone', 'gone', 7);
INSERT INTO nova.services VALUES ('runner-1', '2000-01-01', 0);
INSERT INTO nova.compute_nodes VALUES ('provider', 0);
INSERT INTO placement.resource_providers VALUES (1, 'provider'), (2, 'shared storage');
INSERT INTO placement.inventories VALUES (1, 64), (2, 1000);
INSERT INTO glance.images VALUES ('whole', 'active'), ('half', 'saving'), ('empty', 'queued');
CREATE TABLE nova.left_side (x INT PRIMARY KEY, filler CHAR(200));
CREATE TABLE neutron.right_side (x INT PRIMARY KEY, filler CHAR(200));
"""


@pytest.fixture
def filled(written):
    """A cloud whose MariaDB has what the services would have put there."""
    grounds.require("mariadb-install-db", "mariadbd", "setpriv")
    databases.make_files(written)
    with grounds.mariadb(written):
        for name in mariadb.DATABASES:
            databases.make_database(written, name, anew=True)
        _do(written, *(each for each in TABLES.split(";\n") if each.strip()))
        yield written


def _do(cloud, *statements: str) -> None:
    with databases.root_session(cloud) as cursor:
        for statement in statements:
            cursor.execute(statement)


class Writer(threading.Thread):
    """Commits a row to two tables at once, again and again."""

    def __init__(self, cloud) -> None:
        super().__init__()
        self._cloud, self._done, self.rows = cloud, threading.Event(), 0

    def run(self) -> None:
        with databases.root_session(self._cloud) as cursor:
            while not self._done.is_set():
                cursor.execute("BEGIN")
                for table in ("nova.left_side", "neutron.right_side"):
                    cursor.execute(f"INSERT INTO {table} VALUES (%s, 'x')", (self.rows,))
                cursor.execute("COMMIT")
                self.rows += 1

    def end(self) -> None:
        self._done.set()
        self.join()


def _server(cloud) -> int:
    return int((cloud.layout.run / "mariadb" / "mariadb.pid").read_text())


def _copy(cloud, folder: Path) -> Path:
    shutil.copytree(cloud.layout.data / "mariadb", folder / "mariadb")
    for path in (folder, *folder.rglob("*")):
        shutil.chown(path, "nova-docker", "nova-docker")
    return folder / "mariadb"


def test_a_copy_under_load_has_every_commit_whole_and_forgets_the_machine(filled):
    folder = filled.layout.root / "copy"
    folder.mkdir()
    writer = Writer(filled)
    writer.start()
    try:
        poll.until(lambda: None if writer.rows > 300 else "few", why="Rows", seconds=30)
        with still.held({_server(filled)}):
            committed = writer.rows
            copy = _copy(filled, folder)
            assert writer.rows <= committed + 1
        poll.until(lambda: None if writer.rows > committed + 50 else "none", why="More rows", seconds=30)
    finally:
        writer.end()
    with copied.served(copy, user="nova-docker", log=filled.layout.logs / "save.log") as cursor:
        cursor.execute("SELECT COUNT(*) FROM nova.left_side NATURAL JOIN neutron.right_side")
        both = cursor.fetchall()[0][0]
        for table in ("nova.left_side", "neutron.right_side"):
            cursor.execute(f"SELECT COUNT(*), MAX(x) FROM {table}")
            assert cursor.fetchall() == ((both, both - 1),)
        assert both in (committed, committed + 1)

        copied.refuse_servers(cursor)
        copied.forget_machine(cursor)
        assert copied.images(cursor) == {"whole"}
        assert not copied.has_credentials(cursor)
        cursor.execute("SELECT * FROM placement.inventories")
        assert cursor.fetchall() == ((2, 1000),), "what no nova-compute tells stays"
        cursor.execute("SELECT status FROM glance.images WHERE id = 'half'")
        assert cursor.fetchall() == (("queued",),)
    assert (copy / "ib_logfile0").stat().st_size <= 4 << 20


@pytest.mark.parametrize(
    "row",
    [
        "INSERT INTO nova.instances VALUES ('1234', 'web', 0)",
        "INSERT INTO nova_cell0.instances VALUES ('1234', 'web', 0)",
        "INSERT INTO nova_api.build_requests VALUES ('1234')",
    ],
)
def test_a_cloud_with_a_server_is_refused(filled, row):
    _do(filled, row)
    with (
        databases.root_session(filled) as cursor,
        pytest.raises(NovaDockerError, match="servers, which do not travel") as caught,
    ):
        copied.refuse_servers(cursor)
    assert "1234" in caught.value.facts


def test_who_knows_a_loaded_cloud_by_its_old_passwords_is_not_let_in(filled):
    arrival.note(filled.layout, arrival.Arrival(renewed=True, keypair="saved"))
    anew = {name: f"new {value}" for name, value in clouds.SECRETS.values.items()}
    cloud = replace(filled, secrets=replace(clouds.SECRETS, values=anew))
    for _ in range(2):  # it may be interrupted and begin again
        assert arrival.settle(cloud)
    for owner in ("keystone", "nova"):
        with pytest.raises(pymysql.MySQLError, match="denied"):
            _connect(cloud, owner, f"password-of-{owner}-db")
        _connect(cloud, owner, f"new password-of-{owner}-db").close()
    with databases.root_session(cloud) as cursor:
        cursor.execute("SELECT password_hash FROM keystone.password ORDER BY id")
        admin, other, alice = (row[0] for row in cursor.fetchall())
        assert admin.startswith("$pbkdf2-sha512$25000$")
        assert (other, alice) == ("saved", "saved"), "users' own passwords stay"
        cursor.execute("SELECT id FROM nova_api.key_pairs ORDER BY id")
        assert cursor.fetchall() == ((2,), (3,)), "users' own keypairs stay"


def test_a_loaded_cloud_that_keeps_its_secrets_has_the_passwords_it_had(filled):
    arrival.note(filled.layout, arrival.Arrival(renewed=False, keypair="saved"))
    assert arrival.settle(filled)
    with databases.root_session(filled) as cursor:
        cursor.execute("SELECT UTC_TIMESTAMP() - last_seen_up < 60 FROM nova.services")
        assert cursor.fetchall() == ((1,),)
        cursor.execute("SELECT COUNT(*) FROM keystone.password WHERE password_hash = 'saved'")
        assert cursor.fetchall() == ((3,),)
    _connect(filled, "nova", "password-of-nova-db").close()


def _connect(cloud, user: str, password: str):
    return pymysql.connect(unix_socket=str(cloud.layout.mysql_socket), user=user, password=password)


_HOLDS = """
import os, sys
from novadocker.host.saved import still
with still.held({int(sys.argv[1])}):
    print("still", flush=True)
    sys.stdin.readline()
"""


@pytest.mark.parametrize("killed", [False, True])
def test_what_was_held_still_goes_on_even_if_its_holder_is_killed(killed):
    with subprocess.Popen(["sleep", "60"]) as held:
        try:
            holder = subprocess.Popen(
                [sys.executable, "-c", _HOLDS, str(held.pid)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
            )
            assert holder.stdout.readline() == b"still\n"
            assert psutil.Process(held.pid).status() == psutil.STATUS_STOPPED
            if killed:
                holder.send_signal(signal.SIGKILL)
            holder.communicate(b"\n")
            poll.until(
                lambda: psutil.Process(held.pid).status() if _stopped(held.pid) else None,
                why="The process goes on",
                seconds=10,
                pause=0.01,
            )
        finally:
            os.kill(held.pid, signal.SIGKILL)


def _stopped(pid: int) -> bool:
    return psutil.Process(pid).status() == psutil.STATUS_STOPPED
