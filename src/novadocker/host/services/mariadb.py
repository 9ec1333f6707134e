# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""MariaDB: every service's database, on a unix socket alone."""

from novadocker.host.services.ini import ini
from novadocker.host.services.model import Cloud, ConfigFile, Folder, Service, Socket

DATABASES = ("keystone", "glance", "placement", "neutron", "nova_api", "nova", "nova_cell0")


def owner(database: str) -> str:
    """The database user that owns `database`: Nova's three have one."""
    return "nova" if database.startswith("nova") else database


def mariadb(cloud: Cloud) -> Service:
    """The server; sized for one machine, durable to the second rather than to the transaction."""
    layout = cloud.layout
    settings = layout.etc / "mariadb" / "my.cnf"
    return Service(
        name="mariadb",
        needs=("mariadb-files",),
        user=cloud.config.user,
        command=("/usr/sbin/mariadbd", f"--defaults-file={settings}"),
        files=(
            ConfigFile(
                path=settings,
                content=ini({
                    "mysqld": {
                        "datadir": str(layout.data / "mariadb"),
                        "socket": str(layout.mysql_socket),
                        "pid_file": str(layout.run / "mariadb" / "mariadb.pid"),
                        "tmpdir": str(layout.run / "mariadb"),
                        "skip_networking": "ON",
                        "skip_name_resolve": "ON",
                        "character_set_server": "utf8mb3",
                        "collation_server": "utf8mb3_general_ci",
                        "max_connections": 400,
                        "innodb_buffer_pool_size": "32M",
                        "innodb_log_buffer_size": "4M",
                        "aria_pagecache_buffer_size": "2M",
                        "key_buffer_size": "1M",
                        "table_open_cache": 400,
                        "table_definition_cache": 400,
                        "innodb_log_file_size": "64M",
                        "innodb_flush_log_at_trx_commit": 2,
                        "innodb_file_per_table": "ON",
                        # Who stops its threads stops all its writing: `nova-docker save` copies its files.
                        "innodb_use_native_aio": "OFF",
                        "performance_schema": "OFF",
                        "skip_log_bin": "ON",
                    }
                }),
            ),
        ),
        folders=(Folder(path=layout.run / "mariadb", mode=0o755),),
        ready=Socket(layout.mysql_socket),
        notifies="main",
        oom_score=-500,
        stop_seconds=20,
    )  # fmt: skip
