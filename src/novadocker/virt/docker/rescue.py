# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""A server in rescue: another container stands in for its own, with the server's disk at /mnt.

The stand-in has the name of the server's container, its limits and its network, so that everything else
(power, console, events, delete) finds it as the server. The own container is set aside under another name.
"""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from oslo_log import log as logging

from novadocker.virt.docker import names
from novadocker.virt.docker.containers import Containers
from novadocker.virt.docker.doors import Engine
from novadocker.virt.docker.errors import NotFound
from novadocker.virt.docker.servers import Servers

LOG = logging.getLogger(__name__)

# Where the server's own disk is, inside.
PLACE = "/mnt"


class Rescue:
    """Puts servers into rescue, and takes them out."""

    def __init__(self, *, engine: Engine, containers: Containers, servers: Servers) -> None:
        self._engine = engine
        self._containers = containers
        self._servers = servers

    def enter(self, context: Any, instance: Any, vifs: Iterable[Any], *, image: Any, password: str) -> None:
        """Start a container of the rescue image in a stopped server's place; undone where it fails.

        :param image: Nova's metadata of the rescue image.
        :param password: its administrator's, where it has such an account.
        :raises: ImageRejected, NotFound, EngineError, ProcessFailed
        """
        self.leave(instance.uuid)
        own, aside = _names(instance.uuid)
        if self._containers.workload(instance.uuid) is None:
            raise NotFound("The server's container is gone.", hint="A hard reboot makes it again.")
        stand_in = self._servers.stand_in(context, instance, image=image)
        stand_in = replace(stand_in, mounts={**stand_in.mounts, PLACE: self._engine.disk(own)})
        self._engine.rename(own, name=aside)
        try:
            self._engine.create(stand_in)
            self._servers.set_password(instance, password)
            self._servers.run(context, instance, vifs, events=None)
            self._servers.watch(instance)
        except BaseException:
            self.leave(instance.uuid)
            raise
        LOG.info("In rescue: image %(id)s, the own disk at %(place)s", {"id": image.id, "place": PLACE},
                 instance=instance)  # fmt: skip

    def leave(self, uuid: str) -> bool:
        """Put a server's own container back, stopped, and remove the stand-in; say whether there was one."""
        own, aside = _names(uuid)
        if self._engine.inspect(aside) is None:
            return False
        self._containers.remove_workload(uuid)
        self._engine.rename(aside, name=own)
        return True


def _names(uuid: str) -> tuple[str, str]:
    return names.container(uuid=uuid, role=names.WORKLOAD), names.container(uuid=uuid, role=names.RESCUED)
