# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""The schemas we ship are what the migrations make in a real MariaDB; `--update-golden` writes them."""

import sys
from dataclasses import replace
from pathlib import Path

import pytest
from tests.fakes import clouds
from tests.functional.host import grounds

from novadocker.host.bootstrap import databases, schemas, templates

SOURCE = Path(__file__).resolve().parents[3] / "src/novadocker/host/bootstrap/sql"


@pytest.fixture
def cloud(folder):
    grounds.require("mariadb-install-db", "mariadbd")
    made = replace(clouds.cloud_in(folder), venv=Path(sys.prefix))
    for each in (made.layout.data, made.layout.logs):
        each.mkdir(parents=True)
    grounds.write_files(made)
    databases.make_files(made)
    with grounds.mariadb(made):
        yield made


def _dump(cloud, service: str) -> str:
    with databases.root_session(cloud) as cursor:
        return templates.dump(cursor, service=service, databases=schemas.DATABASES[service])


def _anew(cloud, service: str) -> None:
    for name in schemas.DATABASES[service]:
        databases.make_database(cloud, name, anew=True)


@pytest.mark.timeout(400)
@pytest.mark.parametrize("service", schemas.DATABASES)
def test_a_template_is_what_the_migrations_make(cloud, service, request):
    _anew(cloud, service)
    schemas.migrate(cloud, service)
    made = _dump(cloud, service)
    file = SOURCE / f"{service}.sql"
    if request.config.getoption("--update-golden"):
        file.write_text(made)
    assert made == file.read_text(), f"{file} differs: run this with --update-golden"

    _anew(cloud, service)
    with databases.root_session(cloud) as cursor:
        templates.load(cursor, templates.read(service, folder=SOURCE))
    assert _dump(cloud, service) == made
