# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""A server's life, put together from the rooms: built, run, removed. The order of things is decided here."""

import shutil
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

from oslo_log import log as logging
from oslo_utils.uuidutils import is_uuid_like

from novadocker import extra_specs
from novadocker.virt.docker import files, process, quotas, spec
from novadocker.virt.docker.conf import Settings
from novadocker.virt.docker.containers import Containers
from novadocker.virt.docker.ephemeral import Ephemeral
from novadocker.virt.docker.errors import ImageRejected
from novadocker.virt.docker.facts import EngineFacts, Image
from novadocker.virt.docker.guest import Given, Guest
from novadocker.virt.docker.images import Images
from novadocker.virt.docker.network import EventWait, Network
from novadocker.virt.docker.ports import Ports, hostname
from novadocker.virt.docker.process import Process
from novadocker.virt.docker.progress import Done, Progress, untold
from novadocker.virt.docker.spec import ContainerSpec

LOG = logging.getLogger(__name__)


class Servers:
    """The servers of this host. Nova's instance is only read: its id, names, flavor and image.

    :param disk_limit: whether the daemon can hold a container to its flavor's root disk.
    :param processors: those of a server, and its memory nodes, as control groups list them.
    :param rate_device: the disk whose I/O can be limited; empty where it is not known.
    """

    def __init__(
        self,
        *,
        containers: Containers,
        images: Images,
        network: Network,
        ports: Ports,
        settings: Settings,
        facts: Callable[[], EngineFacts],
        disk_limit: Callable[[], bool],
        guest: Guest,
        rate_device: Callable[[], str],
        processors: Callable[[Any], tuple[str, str]],
        ephemeral: Ephemeral,
    ) -> None:
        self._containers = containers
        self._images = images
        self._network = network
        self._ports = ports
        self._settings = settings
        self._facts = facts
        self._disk_limit = disk_limit
        self._guest = guest
        self._rate_device = rate_device
        self._processors = processors
        self._ephemeral = ephemeral

    def build(
        self,
        context: Any,
        instance: Any,
        network_info: Any,
        *,
        given: Given,
        ephemerals: Sequence[int],
        events: EventWait | None,
        start: bool,
    ) -> None:
        """Make a server, and start its process when its network works; after a failure, call `undo`."""
        progress = Progress()
        namespace = self.make(context, instance, ephemerals=ephemerals, done=progress.done)
        self._guest.put(instance, given=given, user=administrator(instance))
        progress.done("files")
        with self._begun(instance.uuid, start=start) as begin:
            # Nova allocates the ports meanwhile, in a thread; here it is waited for, and here it raises.
            with progress.waiting():
                vifs = list(network_info or ())
            progress.done("ports")

            def tell() -> None:
                self._ports.describe(context, instance)
                self._guest.fill_drive(self.place(instance), instance, vifs, given=given)

            # Questions to the conductor on the one side, the switch and the kernel on the other.
            with ThreadPoolExecutor(max_workers=1) as beside:
                told = beside.submit(tell)
                self._ports.connect(
                    context, instance, vifs, namespace=namespace, events=events, done=progress.done
                )
                told.result()
            progress.done("network ready")
            begin()
        if start:
            progress.done("started")
            # Since Docker has noted its start: on a busy machine it takes as much longer to note its end.
            self._containers.watch(instance.uuid, seconds=self._settings.start_watch)
        LOG.info("Built: %s", progress, instance=instance)

    def _begun(self, uuid: str, *, start: bool) -> AbstractContextManager[Callable[[], None]]:
        if not start:
            return nullcontext(lambda: None)
        if not self._facts().holds_starts:
            return nullcontext(lambda: self._containers.start(uuid))
        return self._containers.held(uuid)

    def make(
        self, context: Any, instance: Any, *, ephemerals: Sequence[int] | None = None, done: Done = untold
    ) -> str:
        """Make those of a server's containers that are missing; return its network namespace.

        :param ephemerals: the sizes of its ephemeral disks in GiB; None: those that it has.
        """
        own = process.wanted(image=process.of_image(instance.system_metadata), metadata=instance.metadata)
        sandbox, workload = self._described(
            context, instance, image=self._images.kept(instance.uuid), wanted=own
        )
        done("image")
        disks = self._ephemeral.make(instance.uuid, ephemerals)
        return self._containers.make(sandbox=sandbox, workload=replace(workload, disks=disks), done=done)

    def stand_in(self, context: Any, instance: Any, *, image: Any) -> ContainerSpec:
        """Return what a server's container would be if it were made from another image.

        :param image: Nova's metadata of it.
        """
        found = self._ensured(context, instance, image_id=image.id)
        # What the server's owner wants to run is its own image's affair; of another image's properties Nova
        # knows its own alone.
        properties = {process.COMMAND_OF_IMAGE: image.properties.get(process.COMMAND_OF_IMAGE) or ""}
        if image.id == instance.image_ref:
            properties = process.of_image(instance.system_metadata)
        wanted = process.wanted(image=properties, metadata={})
        return self._described(context, instance, image=found, wanted=wanted)[1]

    def watch(self, instance: Any) -> None:
        """Look on as a server's process begins; raises ProcessFailed when it fails meanwhile."""
        self._containers.watch(instance.uuid, seconds=self._settings.start_watch)

    def _ensured(self, context: Any, instance: Any, *, image_id: str) -> Image:
        return self._images.ensure(
            context,
            image_id,
            disk_limit=(instance.flavor.root_gb << 30) or self._settings.image_limit_bytes,
            trusted_certs=instance.trusted_certs,
        )

    def _described(
        self, context: Any, instance: Any, *, image: Image | None, wanted: Process
    ) -> tuple[ContainerSpec | None, ContainerSpec]:
        flavor, found = instance.flavor, self._facts()
        choices = extra_specs.parse(flavor.extra_specs or {}, user_namespaces=found.user_namespaces)
        image = image or self._ensured(context, instance, image_id=instance.image_ref)
        cpuset, memory_nodes = self._processors(instance)
        server = spec.Server(
            uuid=instance.uuid,
            name=instance.name,
            host=self._settings.host,
            hostname=hostname(instance),
            vcpus=flavor.vcpus,
            memory_mb=flavor.memory_mb,
            swap_mb=flavor.swap,
            root_gb=flavor.root_gb,
            choices=choices,
            process=wanted,
            config_drive=self._guest.wants_drive(instance),
            cpuset=cpuset,
            memory_nodes=memory_nodes,
            quotas=quotas.parse(flavor.extra_specs or {}, vcpus=flavor.vcpus),
        )
        if not (image.entrypoint or image.command or server.process.command):
            raise ImageRejected("It says nothing to run: it has neither an ENTRYPOINT nor a CMD.")
        ground = spec.Ground(
            files=self.place(instance),
            pids=self._settings.pids_limit,
            cgroup_parent=self._settings.cgroup_parent if found.cgroup_driver == "cgroupfs" else "",
            init=self._settings.init,
            disk_limit=self._disk_limit(),
            rate_device=self._rate_device(),
            sandbox_runtime=found.sandbox_runtime,
            keeps_namespaces=self._containers.keeps_namespaces,
        )
        files.prepare(ground.files)
        self._guest.prepare(ground.files, instance)
        sandbox = None
        if not ground.keeps_namespaces:
            sandbox = spec.sandbox(server, image=self._images.sandbox(), ground=ground)
        return sandbox, spec.workload(server, image=image, ground=ground)

    def run(
        self,
        context: Any,
        instance: Any,
        vifs: Iterable[Any],
        *,
        events: EventWait | None,
        start: bool = True,
    ) -> None:
        """Start the process of a server that has its containers, its network first."""
        namespace = self._containers.made_ready(instance.uuid)
        vifs, place = list(vifs), self.place(instance)
        files.prepare(place)
        self._guest.prepare(place, instance)
        self._guest.fill_drive(place, instance, vifs, given=Given())
        self._ports.connect(context, instance, vifs, namespace=namespace, events=events if start else None)
        if start:
            self._containers.start(instance.uuid)

    def remove(
        self, instance: Any, vifs: Iterable[Any], *, disconnect: bool, wipe: bool, returns: bool = False
    ) -> None:
        """Remove a server's containers, its ports and its files; what is gone already is fine."""
        self._containers.remove(instance.uuid, returns=returns)
        if disconnect:
            self._network.disconnect(instance, vifs)
        if wipe:
            self.wipe(instance)

    def undo(self, instance: Any, network_info: Any) -> None:
        """Remove what a failed build has made; failing here is only told: Nova removes the server next."""
        try:
            if hasattr(network_info, "wait"):  # Nova's list that fills itself, or failed to
                network_info.wait(do_raise=False)
            self.remove(instance, network_info or (), disconnect=True, wipe=True)
        except Exception:
            LOG.exception("Could not clean up after the failed build", instance=instance)

    def set_password(self, instance: Any, password: str) -> bool:
        """Change the administrator's password; False where the container has no such account."""
        return self._guest.set_password(instance, user=administrator(instance), password=password)

    def wipe(self, instance: Any) -> bool:
        """Remove what lies on disk for a server; says whether it is gone."""
        place = self.place(instance)
        self._ephemeral.remove(instance.uuid)
        shutil.rmtree(place, ignore_errors=True)
        return not place.exists()

    def place(self, instance: Any) -> Path:
        """Return the directory of a server's files."""
        return self._settings.instances_path / str(instance.uuid)

    def has_ephemeral(self, uuid: str) -> bool:
        """Say whether a server has ephemeral disks here."""
        return bool(self._ephemeral.places(uuid))

    def placed(self) -> list[str]:
        """Return the servers that have files here."""
        folders = self._settings.instances_path
        return [one.name for one in folders.iterdir() if is_uuid_like(one.name)] if folders.is_dir() else []

    def lost(self, uuid: str) -> bool:
        """Say whether a server of this host has no container: somebody removed it behind our back."""
        return (self._settings.instances_path / uuid).is_dir() and self._containers.workload(uuid) is None


def administrator(instance: Any) -> str:
    """Return the user whose password Nova sets: root, unless the image names another."""
    return str(process.of_image(instance.system_metadata).get("os_admin_user") or "root")
