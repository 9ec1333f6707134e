# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""A copy of MariaDB's files: what is in it, and what of it is not for another machine."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from novadocker import poll, run
from novadocker.errors import NovaDockerError
from novadocker.host.bootstrap import databases
from novadocker.host.bootstrap.databases import Cursor

_SERVERS = (
    "SELECT uuid, display_name FROM nova.instances WHERE deleted = 0 UNION "
    "SELECT uuid, display_name FROM nova_cell0.instances WHERE deleted = 0 UNION "
    "SELECT instance_uuid, 'being built' FROM nova_api.build_requests"
)
# What was true of the machine and of that moment.
_FORGOTTEN = (
    # An agent that was seen a moment ago would count as alive before it is.
    "UPDATE neutron.agents SET heartbeat_timestamp = '2000-01-01'",
    "DELETE FROM neutron.ovn_hash_ring",
    # Of another machine's processors and memory; nova-compute says anew what there is.
    "DELETE FROM placement.inventories WHERE resource_provider_id IN (SELECT id FROM"
    " placement.resource_providers WHERE uuid IN (SELECT uuid FROM nova.compute_nodes WHERE deleted = 0))",
    # As Glance leaves one whose upload broke off: it can be uploaded again.
    "UPDATE glance.images SET status = 'queued' WHERE status IN ('saving', 'uploading', 'importing')",
)


@contextmanager
def served(folder: Path, *, user: str, log: Path) -> Iterator[Cursor]:
    """A server of its own on the files, which it mends as after a power cut and leaves tidy.

    :raises NovaDockerError: if it cannot use them.
    """
    socket = folder.parent / "mariadb.sock"
    command = [
        "setpriv", "--pdeathsig=KILL", f"--reuid={user}", f"--regid={user}", "--init-groups", "--",
        "/usr/sbin/mariadbd", "--no-defaults", f"--datadir={folder}", f"--socket={socket}",
        f"--pid-file={folder.parent / 'mariadb.pid'}", f"--tmpdir={folder.parent}", "--skip-networking",
        "--skip-log-bin", "--skip-name-resolve", "--innodb-buffer-pool-size=64M",
        # What it logged before is in the tables when it ends; a log of the least size travels.
        "--innodb-log-file-size=4M",
    ]  # fmt: skip
    with run.beside(command, log=log):
        poll.until(
            lambda: _not_listening(socket, log=log), why="MariaDB on the copy", seconds=60, pause=0.05,
            hint=f"See {log}.",
        )  # fmt: skip
        with databases.root_session_at(socket, log=log) as cursor:
            yield cursor


def _not_listening(socket: Path, *, log: Path) -> str | None:
    try:
        with databases.root_session_at(socket, log=log):
            return None
    except NovaDockerError as error:
        return error.facts


def refuse_servers(cursor: Cursor) -> None:
    """Refuse a cloud with servers: their disks are not in the databases, and their machine is not that one.

    :raises NovaDockerError: with their names.
    """
    cursor.execute(_SERVERS)
    found = [f"{name} ({uuid})" for uuid, name in cursor.fetchall()]
    if found:
        raise NovaDockerError(
            "The cloud has servers, which do not travel.",
            facts="\n".join(found[:20]),
            hint="Delete them; `openstack server image create` keeps a server's disk as an image first.",
        )


def forget_machine(cursor: Cursor) -> None:
    """Take out what is true of the machine and the moment only."""
    for statement in _FORGOTTEN:
        cursor.execute(statement)


def images(cursor: Cursor) -> set[str]:
    """The images whose data is whole."""
    cursor.execute("SELECT id FROM glance.images WHERE status IN ('active', 'deactivated')")
    return {row[0] for row in cursor.fetchall()}


def has_credentials(cursor: Cursor) -> bool:
    """Whether Keystone keeps something that its credential keys open."""
    cursor.execute("SELECT COUNT(*) FROM keystone.credential")
    return bool(cursor.fetchall()[0][0])
