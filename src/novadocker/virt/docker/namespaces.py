# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""The namespaces a server lives in: there before its first process, and between two of them.

Docker starts a container in namespaces of its own, or in another container's, and in no others. The runtime
that dockerd runs in front of runc (novadocker/oci_runtime.py) finds them by the container's id, in a folder
that both know. So no second container has to hold them: two programs less for each server, and a start less.
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path

from oslo_log import log as logging
from oslo_utils.uuidutils import is_uuid_like

from novadocker.errors import NovaDockerError
from novadocker.virt.docker import names
from novadocker.virt.docker.doors import NamespaceStore
from novadocker.virt.docker.errors import LinkError, explained
from novadocker.virt.docker.identities import Identities

LOG = logging.getLogger(__name__)

# Beside what is kept: whose it is, inside and outside.
_MADE_FOR = "users"


class Namespaces:
    """Those of this host's servers.

    :param folder: the runtime's; None where there is none. A folder in it is this nova-compute's own.
    :param identities: of the users in a container; None for the host's own.
    :param usable: whether dockerd's runtime looks there.
    """

    def __init__(
        self,
        folder: Path | None,
        *,
        host: str,
        store: NamespaceStore,
        identities: Callable[[], Identities | None] = lambda: None,
        usable: Callable[[Path], bool] = lambda folder: True,
    ) -> None:
        self._folder = folder
        self._host = host
        self._store = store
        self._identities = identities
        self._usable = usable

    @property
    def there(self) -> bool:
        """Whether servers' namespaces are kept here; otherwise a container of each has to hold them."""
        if self._folder is None or not self._usable(self._folder):
            return False
        try:
            self._identities()
        except NovaDockerError as error:
            LOG.warning("Servers have a second container each: %s", error)
            return False
        return True

    def prepare(self) -> None:
        """Make the folder, and forget containers of servers that have nothing in it any more."""
        if self._folder is not None:
            (self._folder / self._host).mkdir(parents=True, exist_ok=True)
            for one in list(self._folder.iterdir()):
                if one.is_symlink() and one.readlink().parts[0] == self._host and not one.exists():
                    one.unlink()

    def hold(self, uuid: str, *, pid: int = 0) -> str:
        """Make a server's namespaces where they are not, or not for these users; return the network's.

        :param pid: a process that is in them already; 0 where there is none.
        :raises: LinkError
        """
        place, users = self._place(uuid), self._identities()
        made_for = json.dumps(asdict(users) if users else None)
        held = self._store.held(place, user=users is not None)
        if held and (pid or _text(place / _MADE_FOR) == made_for):
            return str(place / names.NETWORK)
        self._store.remove(place)
        with explained("make a place for namespaces"):
            place.mkdir(parents=True, exist_ok=True)
            (place / _MADE_FOR).write_text(made_for)
        if pid:
            self._store.adopt(place, pid=pid, user=users is not None)
        else:
            self._store.make(place, users=users)
        return str(place / names.NETWORK)

    def find(self, uuid: str) -> str | None:
        """Return a server's network namespace; None where there is none."""
        if self._folder is None:
            return None
        place = self._place(uuid)
        return str(place / names.NETWORK) if self._store.held(place, user=False) else None

    def enter(self, container: str, uuid: str) -> None:
        """Have a container, by its id, start in a server's namespaces from now on."""
        link = self._link(container)
        if not link.is_symlink():
            link.symlink_to(f"{self._host}/{uuid}")

    def forget(self, container: str) -> None:
        """Forget a container, by its id."""
        if self._folder is not None:
            self._link(container).unlink(missing_ok=True)

    def remove(self, uuid: str) -> None:
        """Let go of a server's namespaces, as far as it goes: the server must go away."""
        if self._folder is None:
            return
        place = self._place(uuid)
        if place.is_dir():
            try:
                self._store.remove(place)
                (place / _MADE_FOR).unlink(missing_ok=True)
                place.rmdir()
            except (LinkError, OSError) as error:
                LOG.warning("The namespaces of %(uuid)s stay: %(why)s", {"uuid": uuid, "why": error})

    def servers(self) -> Iterator[str]:
        """Yield the servers that have namespaces here, or had before the machine started anew."""
        own = self._folder / self._host if self._folder is not None else None
        if own is not None and own.is_dir():
            yield from [one.name for one in own.iterdir() if is_uuid_like(one.name)]

    def _place(self, uuid: str) -> Path:
        if self._folder is None:
            raise ValueError("There is no folder for namespaces.")
        return self._folder / self._host / uuid

    def _link(self, container: str) -> Path:
        if self._folder is None:
            raise ValueError("There is no folder for namespaces.")
        return self._folder / container


def _text(file: Path) -> str:
    return file.read_text() if file.exists() else ""
