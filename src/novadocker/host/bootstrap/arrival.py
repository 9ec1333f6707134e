# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""What makes a loaded cloud this machine's own, once its database runs: passwords that nobody else knows.

A note in the cloud's data says that it has been loaded, and stays until all of it is up: `load` begins anew
where it finds one, `up` goes on.
"""

import json
from dataclasses import asdict, dataclass

from novadocker import files
from novadocker.errors import NovaDockerError
from novadocker.host.bootstrap import content, databases, identity
from novadocker.host.services import mariadb
from novadocker.host.services.model import Cloud
from novadocker.host.state import Layout

# A service first reports when it has run for five seconds (nova/servicegroup/api.py): until then one that was
# there before counts as down, while a new one does not. Its probe says whether it listens.
_SEEN = "UPDATE nova.services SET last_seen_up = UTC_TIMESTAMP() WHERE deleted = 0"


@dataclass(frozen=True, kw_only=True)
class Arrival:
    """What was loaded.

    :ivar renewed: whether the cloud is to have other passwords and keys than the saved one.
    :ivar keypair: the public half of the saved cloud's own keypair.
    """

    renewed: bool
    keypair: str


def note(layout: Layout, arrival: Arrival) -> None:
    """Say that what is in the cloud's data was loaded."""
    files.write(layout.arrival_file, json.dumps(asdict(arrival), indent=1) + "\n", mode=0o600)


def pending(layout: Layout) -> bool:
    """Whether the cloud was loaded and has not come up since."""
    return layout.arrival_file.exists()


def end(layout: Layout) -> bool:
    """The cloud is up: it is as any other from now on."""
    layout.arrival_file.unlink()
    return True


def settle(cloud: Cloud) -> bool:
    """Let the database know this cloud's services and passwords, not the saved ones; twice is harmless."""
    arrival = _read(cloud.layout)
    with databases.root_session(cloud) as cursor:
        cursor.execute(_SEEN)
        if arrival.renewed:
            _renew(cloud, cursor, keypair=arrival.keypair)
    return True


def _renew(cloud: Cloud, cursor: databases.Cursor, *, keypair: str) -> None:
    for owner in sorted({mariadb.owner(name) for name in mariadb.DATABASES}):
        password = cloud.secrets[f"{owner}-db"]
        cursor.execute(f"ALTER USER `{owner}`@`localhost` IDENTIFIED BY %s", (password,))
    identity.set_passwords(cloud, cursor)
    # `up` makes another, with a private half that only this machine has.
    cursor.execute(
        "DELETE FROM nova_api.key_pairs WHERE name = %s AND public_key = %s",
        (content.KEYPAIR, keypair),
    )


def _read(layout: Layout) -> Arrival:
    try:
        return Arrival(**files.read_table(layout.arrival_file))
    except (TypeError, ValueError) as error:
        raise NovaDockerError(
            f"The note of what was loaded, {layout.arrival_file}, is damaged.", facts=str(error),
            hint="Load the file again: it begins anew.",
        ) from error  # fmt: skip
