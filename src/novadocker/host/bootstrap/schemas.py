# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""The schema of each service, as the service's own program makes it."""

from collections.abc import Callable, Mapping

from novadocker import run
from novadocker.host.bootstrap import databases, templates
from novadocker.host.bootstrap.databases import as_service_user, manage
from novadocker.host.services.model import Cloud


def make(cloud: Cloud, service: str) -> None:
    """Fill the service's empty databases: from the template for its release, else by its migrations."""
    statements = templates.read(service)
    tables = databases.tables(cloud)
    if statements and not any(tables[name] for name in DATABASES[service]):
        with databases.root_session(cloud) as cursor:
            templates.load(cursor, statements)
    else:
        migrate(cloud, service)
    if service == "keystone":
        _first_administrator(cloud)


def migrate(cloud: Cloud, service: str) -> None:
    """Let the service's own program make its tables; Nova's makes its two cells, too."""
    _MIGRATIONS[service](cloud)


def _keystone(cloud: Cloud) -> None:
    settings = str(cloud.layout.etc / "keystone" / "keystone.conf")
    manage(cloud, cloud.bin("keystone-manage"), "--config-file", settings, "db_sync", log="keystone-manage")


def make_keys(cloud: Cloud) -> bool:
    """Have Keystone make the keys of its tokens and credentials; they need no database."""
    settings = str(cloud.layout.etc / "keystone" / "keystone.conf")
    owner = ("--keystone-user", cloud.config.user, "--keystone-group", cloud.config.user)
    wanted = {"fernet_setup": "fernet-keys", "credential_setup": "credential-keys"}
    missing = [
        word
        for word, folder in wanted.items()
        # One key that is used and one for the next rotation; which numbers they have, rotations change.
        if len(list((cloud.layout.data / "keystone" / folder).glob("[0-9]*"))) < 2
    ]
    program = (cloud.bin("keystone-manage"), "--config-file", settings)
    for word in missing:
        manage(cloud, *program, word, *owner, log="keystone-manage")
    return bool(missing)


def _first_administrator(cloud: Cloud) -> None:
    """The first administrator, with the identity endpoint."""
    settings = str(cloud.layout.etc / "keystone" / "keystone.conf")
    program = (cloud.bin("keystone-manage"), "--config-file", settings)
    address = cloud.url("keystone", "/v3")
    manage(
        cloud,
        *program,
        "bootstrap",
        "--bootstrap-region-id",
        cloud.config.region,
        "--bootstrap-public-url",
        address,
        "--bootstrap-internal-url",
        address,
        "--bootstrap-admin-url",
        address,
        log="keystone-manage",
        environment={"OS_BOOTSTRAP_PASSWORD": cloud.secrets["admin"]},
    )


def _glance(cloud: Cloud) -> None:
    settings = str(cloud.layout.etc / "glance" / "glance-api.conf")
    manage(cloud, cloud.bin("glance-manage"), "--config-file", settings, "db_sync", log="glance-manage")


def _placement(cloud: Cloud) -> None:
    settings = str(cloud.layout.etc / "placement" / "placement.conf")
    manage(
        cloud, cloud.bin("placement-manage"), "--config-file", settings, "db", "sync", log="placement-manage"
    )


def _neutron(cloud: Cloud) -> None:
    settings = str(cloud.layout.etc / "neutron" / "neutron.conf")
    program = (cloud.bin("neutron-db-manage"), "--config-file", settings, "--subproject", "neutron")
    manage(cloud, *program, "upgrade", "heads", log="neutron-db-manage")


def _nova(cloud: Cloud) -> None:
    """Tables of the API and of both cells, and the two cells' mappings."""
    settings = str(cloud.layout.etc / "nova" / "nova.conf")
    program = (cloud.bin("nova-manage"), "--config-file", settings)
    manage(cloud, *program, "api_db", "sync", log="nova-manage")
    manage(
        cloud,
        *program,
        "cell_v2",
        "map_cell0",
        "--database_connection",
        cell0_connection(cloud),
        log="nova-manage",
    )
    manage(cloud, *program, "db", "sync", log="nova-manage")
    cells = run.run(
        as_service_user(cloud, *program, "cell_v2", "list_cells"), seconds=120, directory=cloud.layout.run
    )
    if "cell1" not in cells.out:
        addresses = ("--transport-url", CELL_BROKER, "--database_connection", CELL_DATABASE)
        manage(cloud, *program, "cell_v2", "create_cell", "--name", "cell1", *addresses, log="nova-manage")


# Cell 1's addresses as templates, which Nova fills from its configuration: the broker's port may move, and no
# password is on a command line (nova/objects/cell_mapping.py).
CELL_BROKER = "{scheme}://{username}:{password}@{hostname}:{port}/{path}"
CELL_DATABASE = "{scheme}://{username}:{password}@{hostname}/{path}?{query}"


def cell0_connection(cloud: Cloud) -> str:
    """Cell 0's address as a template: Nova fills in its own password, which so is on no command line."""
    return "{scheme}://{username}:{password}@{hostname}/nova_cell0?{query}"


def discover_hosts(cloud: Cloud) -> None:
    """Map nova-compute hosts that are new to the cell."""
    settings = str(cloud.layout.etc / "nova" / "nova.conf")
    manage(
        cloud,
        cloud.bin("nova-manage"),
        "--config-file",
        settings,
        "cell_v2",
        "discover_hosts",
        log="nova-manage",
    )


_MIGRATIONS: Mapping[str, Callable[[Cloud], None]] = {
    "keystone": _keystone,
    "neutron": _neutron,
    "nova": _nova,
    "glance": _glance,
    "placement": _placement,
}
# Which databases each service has.
DATABASES: Mapping[str, tuple[str, ...]] = {
    name: ("nova_api", "nova_cell0", "nova") if name == "nova" else (name,) for name in _MIGRATIONS
}
