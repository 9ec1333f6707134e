# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""A server takes another size or another host, and its disk comes along.

When it leaves, its disk becomes an image here: the one its new container starts from, and the one it gets
back if the move is reverted. To another host the disk travels through Glance, as a private image of the
server's own project. Where that image is, is written in the server's own record, so that a host which failed
to take it in can do so later, by a hard reboot.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from nova.compute import task_states
from oslo_log import log as logging

from novadocker.errors import NovaDockerError
from novadocker.virt.docker import names
from novadocker.virt.docker.containers import Containers
from novadocker.virt.docker.disks import Disks
from novadocker.virt.docker.doors import DiskStore, Engine
from novadocker.virt.docker.errors import DiskLost, EngineError, NotMoved
from novadocker.virt.docker.images import Images
from novadocker.virt.docker.network import EventWait, Network
from novadocker.virt.docker.servers import Servers

LOG = logging.getLogger(__name__)

# In the server's system metadata: the Glance image that holds its disk while no host does.
TRAVELLING = "docker_travelling_disk"


def shrinks(old: Any, new: Any) -> str:
    """Say which disk a flavor would make smaller than it is; empty if none (pure)."""
    for kind, words in (("root_gb", "root disk"), ("ephemeral_gb", "ephemeral disk")):
        if getattr(new, kind) < getattr(old, kind):
            return f"Its {words} cannot shrink from {getattr(old, kind)} to {getattr(new, kind)} GB."
    return ""


def travels(instance: Any) -> bool:
    """Say whether a server's disk is on no host now."""
    return TRAVELLING in instance.system_metadata


class Moves:
    """What a host does when a server leaves it, arrives at it, stays away or comes back."""

    def __init__(
        self,
        *,
        engine: Engine,
        containers: Containers,
        images: Images,
        network: Network,
        servers: Servers,
        disks: Disks,
        store: DiskStore,
    ) -> None:
        self._engine = engine
        self._containers = containers
        self._images = images
        self._network = network
        self._servers = servers
        self._disks = disks
        self._store = store

    def leave(
        self, context: Any, instance: Any, vifs: Iterable[Any], *, flavor: Any, grace: int, stays: bool
    ) -> None:
        """Stop a server and hold its disk ready for its new home.

        :param stays: it leaves for this same host.
        :raises: NotMoved when that failed and the server is again as it was before
        """
        uuid = instance.uuid
        refusal = shrinks(instance.flavor, flavor)
        if not stays and self._servers.has_ephemeral(uuid):
            refusal = "It has ephemeral disks, whose content does not travel to another host."
        if refusal:
            raise NotMoved(refusal)
        try:
            found = self._containers.workload(uuid)
        except EngineError as error:
            raise NotMoved("The server cannot be looked at.", facts=str(error)) from error
        if found is None:
            raise NotMoved("The server has no container here.", hint="A hard reboot makes it again.")
        self._containers.stop(uuid, grace=grace)
        try:
            if stays:
                self._engine.untag(names.before_tag(uuid))  # of a move that was never ended
                self._engine.commit(found.name, reference=names.before_tag(uuid))
            else:
                with self._disks.export(uuid) as disk:
                    travelling = self._store.put(context, instance, disk.chunks, size=disk.size)
                instance.system_metadata[TRAVELLING] = travelling
        except Exception as error:
            self._engine.untag(names.before_tag(uuid))
            if found.running:
                self._containers.start(uuid)
            raise NotMoved("The server's disk could not be taken along.", facts=str(error)) from error
        if not stays:
            self._network.disconnect(instance, vifs)

    def arrive(
        self,
        context: Any,
        instance: Any,
        vifs: Iterable[Any],
        *,
        stayed: bool,
        ephemerals: Sequence[int],
        events: EventWait | None,
        start: bool,
    ) -> None:
        """Make a server of its new size here, from the disk that came along."""
        uuid = instance.uuid
        if stayed:
            self._engine.tag(names.before_tag(uuid), reference=names.kept_tag(uuid))
            self._containers.remove_workload(uuid)
        elif travels(instance):
            self.take_in(context, instance)
        else:
            raise DiskLost("No disk came along with the server.")
        self._servers.make(context, instance, ephemerals=ephemerals)
        self._servers.run(context, instance, vifs, events=events, start=start)

    def make_room(self, context: Any, instance: Any) -> None:
        """Remove what a failed move has left here of a server to be built here, and fetch its disk.

        The image in Glance stays: discard it when the server is built.
        """
        self._containers.remove(instance.uuid)
        if travels(instance):
            image_id = instance.system_metadata[TRAVELLING]
            self._images.take_in(context, image_id, tag=names.kept_tag(instance.uuid))

    def take_in(self, context: Any, instance: Any) -> None:
        """Fetch the disk that is still under way to this host, if one is; an older one here is removed."""
        if travels(instance):
            self.make_room(context, instance)
            self.discard(context, instance)

    def discard(self, context: Any, instance: Any) -> None:
        """Remove the image of a disk that is needed there no longer; failing is only told."""
        image_id = instance.system_metadata.pop(TRAVELLING, None)
        if not image_id:
            return
        instance.save()  # before: a record of an image that is gone would keep the server from starting
        try:
            self._store.delete(context, image_id)
        except NovaDockerError as error:
            LOG.warning("Image %(id)s stays: %(why)s", {"id": image_id, "why": error}, instance=instance)

    def stay_away(self, instance: Any, vifs: Iterable[Any], *, stayed: bool) -> None:
        """Let go of what was kept for a way back."""
        if stayed:
            self._engine.untag(names.before_tag(instance.uuid))
        else:
            self._servers.remove(instance, vifs, disconnect=True, wipe=True)

    def returns(self, instance: Any) -> bool:
        """Say whether a server that Nova removes now is to run again here, as before its move."""
        reverts = instance.task_state == task_states.RESIZE_REVERTING
        return reverts and self._engine.image(names.before_tag(instance.uuid)) is not None

    def come_back(
        self,
        context: Any,
        instance: Any,
        vifs: Iterable[Any],
        *,
        events: EventWait | None,
        start: bool,
    ) -> None:
        """Run a server again as it was before it left."""
        uuid = instance.uuid
        if self._containers.workload(uuid) is None:
            if self._engine.image(names.before_tag(uuid)) is None:
                raise DiskLost("The disk the server had here before is gone.")
            self._engine.tag(names.before_tag(uuid), reference=names.kept_tag(uuid))
        if not self._containers.complete(uuid):
            self._servers.make(context, instance)
        self._servers.run(context, instance, vifs, events=events, start=start)
        self._engine.untag(names.before_tag(uuid))
