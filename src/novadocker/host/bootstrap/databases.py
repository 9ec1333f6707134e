# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""MariaDB's files, the services' databases and users, and their schemas."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pymysql
from pymysql.cursors import Cursor as Cursor

from novadocker import run
from novadocker.errors import NovaDockerError
from novadocker.host.services import mariadb, shared
from novadocker.host.services.model import Cloud


def make_files(cloud: Cloud) -> bool:
    """Create MariaDB's system tables, whole or not at all. Root of the machine is root of the database."""
    target = cloud.layout.data / "mariadb"
    if target.is_dir():
        return False
    unfinished = target.with_name("mariadb.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(mode=0o750)
    shutil.chown(unfinished, cloud.config.user, cloud.config.user)
    run.run(
        [
            "mariadb-install-db", "--no-defaults", f"--datadir={unfinished}", f"--user={cloud.config.user}",
            "--auth-root-authentication-method=socket", "--auth-root-socket-user=root", "--skip-test-db",
            "--skip-name-resolve", "--innodb-log-file-size=64M",
        ],
        seconds=180,
        log=cloud.layout.logs / "mariadb-install.log",
        hint=f"See {cloud.layout.logs / 'mariadb-install.log'}.",
    )  # fmt: skip
    unfinished.rename(target)
    return True


@contextmanager
def root_session(cloud: Cloud) -> Iterator[Cursor]:
    """A session as the database's root, who is known by being the machine's.

    :raises NovaDockerError: if the server cannot be reached.
    """
    with root_session_at(cloud.layout.mysql_socket, log=cloud.layout.logs / "mariadb.log") as cursor:
        yield cursor


@contextmanager
def root_session_at(socket: Path, *, log: Path) -> Iterator[Cursor]:
    """A session as the root of whichever database listens there.

    :raises NovaDockerError: if the server cannot be reached.
    """
    try:
        connection = pymysql.connect(unix_socket=str(socket), user="root", autocommit=True)
    except pymysql.MySQLError as error:
        raise NovaDockerError("MariaDB does not let us in.", facts=str(error), hint=f"See {log}.") from error
    try:
        with connection.cursor() as cursor:
            yield cursor
    finally:
        connection.close()


def tables(cloud: Cloud) -> dict[str, int]:
    """How many tables each of our databases has; one that is not there is not in it."""
    with root_session(cloud) as cursor:
        cursor.execute(
            "SELECT s.schema_name, COUNT(t.table_name) FROM information_schema.schemata s "
            "LEFT JOIN information_schema.tables t ON t.table_schema = s.schema_name GROUP BY s.schema_name"
        )
        return {name: count for name, count in cursor.fetchall() if name in mariadb.DATABASES}


def make_database(cloud: Cloud, name: str, *, anew: bool) -> None:
    """Create the database and its user, who may reach it through the socket alone.

    :param anew: drop what an interrupted creation of the schema left; MariaDB cannot undo half a migration.
    """
    owner = mariadb.owner(name)
    password = cloud.secrets[f"{owner}-db"]
    with root_session(cloud) as cursor:
        if anew:
            cursor.execute(f"DROP DATABASE IF EXISTS `{name}`")
        cursor.execute(f"CREATE DATABASE IF NOT EXISTS `{name}` CHARACTER SET utf8mb3")
        cursor.execute(f"CREATE USER IF NOT EXISTS `{owner}`@`localhost` IDENTIFIED BY %s", (password,))
        cursor.execute(f"ALTER USER `{owner}`@`localhost` IDENTIFIED BY %s", (password,))
        cursor.execute(f"GRANT ALL ON `{name}`.* TO `{owner}`@`localhost`")


def as_service_user(cloud: Cloud, *command: str) -> list[str]:
    """A management command run as the user the services run as."""
    user = cloud.config.user
    return ["setpriv", f"--reuid={user}", f"--regid={user}", "--init-groups", "--", *command]


def manage(cloud: Cloud, *command: str, log: str, environment: dict[str, str] | None = None) -> None:
    """Run one `…-manage` command to its end, its words kept in the log of that name."""
    file = cloud.layout.logs / f"{log}.log"
    cache = {"XDG_CACHE_HOME": str(shared.cache(cloud, cloud.config.user))}
    run.run(
        as_service_user(cloud, *command), seconds=300, log=file, environment={**cache, **(environment or {})},
        hint=f"See {file}.", directory=cloud.layout.run,
    )  # fmt: skip
