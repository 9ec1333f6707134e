# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""Schemas as their services' migrations left them, kept as SQL: read in a second instead of made in a minute.

They are for one release of each service. With any other installed, the migrations make the schema, as ever.
A functional test runs the migrations and compares; `--update-golden` writes what it found.
"""

import datetime
import importlib.metadata
import re
from importlib import resources
from pathlib import Path

from pymysql.converters import escape_item
from pymysql.cursors import Cursor

FOLDER = Path(str(resources.files("novadocker.host.bootstrap"))) / "sql"
# Begins a section, with the names of those that have these tables.
_DATABASES = "-- In: "
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def read(service: str, *, folder: Path = FOLDER) -> list[str]:
    """The statements that make the tables; none if there are none for the release that is installed."""
    file = folder / f"{service}.sql"
    if not file.is_file():
        return []
    first, _, text = file.read_text().partition("\n")
    if first != title(service):
        return []
    statements = []
    for section in text.split(_DATABASES)[1:]:
        names, _, held = section.partition("\n")
        for name in names.split():
            statements += [f"USE `{name}`", *(each for each in held.split(";\n") if each)]
    return statements


def title(service: str) -> str:
    """A template's first line: what it was made with."""
    package = "openstack-placement" if service == "placement" else service
    return f"-- As the migrations of {package} {importlib.metadata.version(package)} make it."


def load(cursor: Cursor, statements: list[str]) -> None:
    """Execute them."""
    cursor.execute("SET foreign_key_checks = 0, unique_checks = 0")
    for statement in statements:
        cursor.execute(statement)


def dump(cursor: Cursor, *, service: str, databases: tuple[str, ...]) -> str:
    """What the databases hold, as a template; what several hold, as Nova's two cells, is in it once."""
    owners: dict[str, list[str]] = {}
    for database in databases:
        cursor.execute(f"USE `{database}`")
        cursor.execute("SHOW TABLES")
        tables = sorted(table for (table,) in cursor.fetchall())
        held = "".join(f"{each};\n" for table in tables for each in _table(cursor, table))
        owners.setdefault(held, []).append(database)
    sections = [f"{_DATABASES}{' '.join(names)}\n{held}" for held, names in owners.items()]
    return title(service) + "\n" + "".join(sections)


def _table(cursor: Cursor, table: str) -> list[str]:
    cursor.execute(f"SHOW CREATE TABLE `{table}`")
    first, *parts, last = cursor.fetchone()[1].splitlines()
    # How far a counter has come is no part of a schema.
    last = " ".join(word for word in last.split(" ") if not word.startswith("AUTO_INCREMENT="))
    # Migrations go through sets: the order of a table's keys and constraints is another each time.
    parts = sorted((part.removesuffix(",") for part in parts), key=_place)
    created = "\n".join([first, ",\n".join(parts), last])
    cursor.execute(f"SELECT * FROM `{table}`")
    names = [column[0] for column in cursor.description]
    rows = sorted("(" + ", ".join(map(_literal, row)) + ")" for row in cursor.fetchall())
    columns = ", ".join(f"`{name}`" for name in names)
    filled = [f"INSERT INTO `{table}` ({columns}) VALUES\n" + ",\n".join(rows)] if rows else []
    return [created, *filled]


def _place(part: str) -> tuple[int, str]:
    """Where a line of a definition stands: columns as they are, then keys, then constraints, by name."""
    words = part.split()
    if words[0].startswith("`"):
        return 0, ""
    return (1 if "KEY" in words[:2] else 2), part


def _literal(value: object) -> str:
    if isinstance(value, datetime.datetime):
        return "UTC_TIMESTAMP()"
    # Cell 0's is Nova's for all; any other is the cloud's own, as its rows' are that no other row names.
    if isinstance(value, str) and _UUID.fullmatch(value) and value.strip("0-"):
        return "UUID()"
    return str(escape_item(value, "utf8"))
