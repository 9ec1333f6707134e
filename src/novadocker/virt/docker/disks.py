# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""A server's own disk, read whole: for an image in Glance, or for another host."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from oslo_log import log as logging

from novadocker.virt.docker import disk_image, names
from novadocker.virt.docker.doors import Engine
from novadocker.virt.docker.errors import EngineError, NotFound
from novadocker.virt.docker.power import Container
from novadocker.virt.docker.spec import ContainerSpec

LOG = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Export:
    """A disk as the archive of an image: its size in bytes, and its bytes, to be read once."""

    size: int
    chunks: Iterator[bytes]


class Disks:
    """The disks of this host's servers."""

    def __init__(self, *, engine: Engine, host: str) -> None:
        self._engine = engine
        self._host = host

    @contextmanager
    def export(self, uuid: str) -> Iterator[Export]:
        """Read a server's disk as it is now, running or not; nothing is written to the host's own disk.

        The disk is read twice: a layer's size and digest are written before it.

        :raises: NotFound, EngineError; DiskChanged while it is read.
        """
        name = names.container(uuid=uuid, role=names.WORKLOAD)
        found = self._engine.inspect(name)
        if found is None:
            raise NotFound("The server has no container whose disk could be read.", facts=name)
        with self._still(uuid, found) as still:
            image = self._engine.image(found.image)
            if image is None:
                raise NotFound("The image the server was made from has left the daemon.", facts=found.image)
            content = disk_image.measured(self._engine.export(still))
            yield Export(
                size=disk_image.size(content, origin=image.origin),
                chunks=disk_image.one_layer(self._engine.export(still), content=content, origin=image.origin),
            )

    def sweep(self) -> None:
        """Remove what exports that were cut short have left. Only while none is under way."""
        for one in self._engine.list(host=self._host, role=names.SNAPSHOT):
            self._discard(one.labels[names.LABEL_UUID])
        for one in self._engine.list(host=self._host, role=names.WORKLOAD):
            self._engine.untag(names.snapshot_tag(one.labels[names.LABEL_UUID]))

    @contextmanager
    def _still(self, uuid: str, found: Container) -> Iterator[str]:
        """Give a container whose disk nobody writes to meanwhile.

        A running server is frozen only as long as Docker needs for what it has changed; then it goes on, and
        a container made of that, which never starts, is read.
        """
        if found.status != "running":
            yield found.name
            return
        self._discard(uuid)
        try:
            self._engine.commit(found.name, reference=names.snapshot_tag(uuid))
            still = self._copy(uuid, found)
            self._engine.create(still)
            yield still.name
        finally:
            try:
                self._discard(uuid)
            except EngineError as error:
                LOG.warning("A copy of server %(id)s's disk stays: %(why)s", {"id": uuid, "why": error})

    def _copy(self, uuid: str, found: Container) -> ContainerSpec:
        return ContainerSpec(
            name=names.container(uuid=uuid, role=names.SNAPSHOT),
            image=names.snapshot_tag(uuid),
            labels=names.labels(
                uuid=uuid,
                host=self._host,
                role=names.SNAPSHOT,
                name=found.labels.get(names.LABEL_NAME, ""),
            ),
            network="none",
            memory=16 << 20,
            pids=8,
            command=("never",),
            log=False,
        )

    def _discard(self, uuid: str) -> None:
        self._engine.remove(names.container(uuid=uuid, role=names.SNAPSHOT))
        self._engine.untag(names.snapshot_tag(uuid))
