# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""A Docker daemon in memory. It sits the same contract tests as the real one."""

import fcntl
import hashlib
import io
import itertools
import json
import os
import queue
import tarfile
import threading
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from tests.fakes import docker_archive

from novadocker import oci_runtime
from novadocker.virt.docker import disk_image, names
from novadocker.virt.docker.doors import EngineEvent
from novadocker.virt.docker.errors import Busy, EngineError, EngineUnreachable, NotFound, ReadOnlyRoot
from novadocker.virt.docker.facts import EngineFacts, File, Image
from novadocker.virt.docker.power import Container
from novadocker.virt.docker.spec import ContainerSpec

_START = "2026-01-01T00:00:00Z"

FACTS = EngineFacts(
    version="20.10.24+dfsg1",
    api_version="1.41",
    storage_driver="overlay2",
    backing_filesystem="extfs",
    root_dir="/var/lib/docker",
    cgroup_driver="cgroupfs",
    cgroup_version="1",
    cpus=2,
    memory_bytes=4 << 30,
    architecture="x86_64",
    user_namespaces=True,
)


class FakeEngine:
    """Containers do what their first word says: `exit N` ends at once, `missing` cannot start, others run."""

    def __init__(self, *, facts: EngineFacts = FACTS, gates: Path | None = None) -> None:
        self._gates = gates
        self.reachable = True
        self.busy_removals = 0
        self.loads = 0
        self._numbers = itertools.count()
        self.exported: list[str] = []
        self.specs: dict[str, ContainerSpec] = {}
        self.files: dict[str, dict[str, File]] = {}  # what was put in, by container and path
        self._facts = facts
        self._containers: dict[str, Container] = {}
        self._output: dict[str, bytes] = {}
        self._images: dict[str, Image] = {}
        self._files: dict[str, dict[str, bytes]] = {}  # of an image or a container, by id
        self._tags: dict[str, str] = {}
        self.shells: list[_Shell] = []
        self._streams: list[_Stream] = []
        self._lock = threading.RLock()

    def facts(self) -> EngineFacts:
        self._answer()
        return self._facts

    def create(self, spec: ContainerSpec) -> str:
        self._answer()
        image = self.image(spec.image)
        if image is None:
            raise NotFound("Could not create.", facts=f"No such image: {spec.image}")
        if spec.name in self._containers:
            raise Busy("Could not create.", facts=f"name {spec.name} is in use")
        identity = hashlib.sha256(f"{spec.name}{next(self._numbers)}".encode()).hexdigest()
        self.specs[spec.name] = spec
        self._files[identity] = dict(self._files[image.id])
        self._containers[spec.name] = Container(
            id=identity,
            name=spec.name,
            status="created",
            image=image.id,
            labels=dict(spec.labels),
            may_reboot="SYS_BOOT" in spec.cap_add,
            joins=spec.network.startswith("container:"),
        )
        return identity

    def inspect(self, container: str) -> Container | None:
        self._answer()
        found = self._containers.values()
        return next((one for one in found if container in {one.name, one.id}), None)

    def list(self, *, host: str, role: str) -> list[Container]:
        self._answer()
        return [
            one
            for one in self._containers.values()
            if one.labels.get(names.LABEL_HOST) == host and one.labels.get(names.LABEL_ROLE) == role
        ]

    def start(self, container: str) -> None:
        one = self._one(container)
        if one.running:
            return
        spec = self.specs[one.name]
        argv = spec.command or self._argv(one.image)
        if argv[:1] == ("missing",):
            raise EngineError(
                "Could not start.",
                facts="OCI runtime create failed: unable to start container process caused: "
                'exec: "missing": executable file not found in $PATH: unknown',
            )
        self._await_gate(one.id)
        self._change(one, "start", status="running", pid=4242 + next(self._numbers), started_at=_START)
        if argv[:1] == ("exit",):
            self._output[one.name] = b"last words\n"
            self.end(one.name, code=int(argv[1]))

    def _await_gate(self, identity: str) -> None:
        gate = self._gates and self._gates / identity
        if not gate or not gate.exists():
            return
        with gate.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH)
            if file.read() != f"{oci_runtime.OPEN}\n".encode():
                raise EngineError("Could not start.", facts="OCI runtime start failed: exit status 1")

    def stop(self, container: str, *, grace: int) -> None:
        self.kill(container)

    def kill(self, container: str) -> None:
        one = self._one(container)
        if one.running:
            self.end(one.name, code=137)

    def pause(self, container: str) -> None:
        one = self._one(container)
        if one.status != "running":
            raise Busy("Could not pause.", facts="is not running")
        self._change(one, "pause", status="paused")

    def unpause(self, container: str) -> None:
        one = self._one(container)
        if one.status != "paused":
            raise EngineError("Could not unpause.", facts="is not paused")
        self._change(one, "unpause", status="running")

    def wait(self, container: str, *, timeout: float) -> int | None:
        one = self._one(container)
        return None if one.running else one.exit_code

    def rename(self, container: str, *, name: str) -> None:
        one = self._one(container)
        if name in self._containers:
            raise Busy("Could not rename.", facts=f"name {name} is in use")
        del self._containers[one.name]
        self._containers[name] = replace(one, name=name)
        self.specs[name] = self.specs.pop(one.name)

    def remove(self, container: str) -> None:
        self._answer()
        one = self.inspect(container)
        if one is None:
            return
        if self.busy_removals:
            self.busy_removals -= 1
            raise EngineError("Could not remove.", facts="device or resource busy")
        self.kill(container)
        del self._containers[one.name]
        self._tell(one, "destroy")

    def logs(self, container: str, *, limit: int) -> bytes:
        return self._output.get(self._one(container).name, b"")[-limit:]

    def put(self, container: str, archive: bytes) -> None:
        name = self._one(container).name
        if self.specs[name].read_only:
            raise ReadOnlyRoot("Could not put.", facts="Its root disk is read-only.")
        files = self.files.setdefault(name, {})
        with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
            for entry in tar:
                path = f"/{entry.name}"
                if any(known.startswith(f"{path}/") for known in files):
                    raise EngineError("Could not put.", facts=f'cannot overwrite directory "{path}"')
                stream = tar.extractfile(entry)
                assert stream is not None
                files[path] = File(content=stream.read(), mode=entry.mode, uid=entry.uid, gid=entry.gid)
                self._files[self._one(container).id][entry.name] = files[path].content

    def read(self, container: str, path: str, *, limit: int) -> File | None:
        found = self.files.get(self._one(container).name, {}).get(path)
        if found and len(found.content) > limit:
            raise EngineError(f"Could not read {path}.", facts=f"It has {len(found.content)} bytes.")
        return found

    def image(self, reference: str) -> Image | None:
        self._answer()
        return self._images.get(self._tags.get(reference, reference))

    def load(self, archive: Iterable[bytes]) -> None:
        self._answer()
        self.loads += 1
        with tarfile.open(fileobj=io.BytesIO(b"".join(archive))) as tar:
            for one in json.loads(_read(tar, "manifest.json")):
                text = _read(tar, one["Config"])
                config = json.loads(text)
                settings = config["config"]
                identity = f"sha256:{hashlib.sha256(text).hexdigest()}"
                self._images[identity] = Image(
                    id=identity,
                    entrypoint=tuple(settings.get("Entrypoint") or ()),
                    command=tuple(settings.get("Cmd") or ()),
                    architecture=config["architecture"],
                    settings=settings,
                    size=sum(len(_read(tar, layer)) for layer in one["Layers"]),
                )
                layers = [_read(tar, name) for name in one["Layers"]]
                self._files[identity] = {name: text for layer in layers for name, text in _unpacked(layer)}
                self._tags |= dict.fromkeys(one["RepoTags"] or (), identity)

    def save(self, reference: str) -> Iterator[bytes]:
        image = self.image(reference)
        if image is None:
            raise NotFound("Could not save.", facts=f"No such image: {reference}")
        layer = docker_archive.tar(self._files[image.id])
        settings = {"architecture": image.architecture, "config": dict(image.settings or {})}
        yield docker_archive.save(
            [layer], configuration={**docker_archive.config([layer]), **settings}, tags=[reference]
        )

    def commit(self, container: str, *, reference: str) -> None:
        one = self._one(container)
        if one.status == "running":
            self.pause(container)
            self.unpause(container)
        image = self._images[one.image]
        identity = f"sha256:{hashlib.sha256(f'{reference}{self._files[one.id]}'.encode()).hexdigest()}"
        self._images[identity] = replace(image, id=identity)
        self._files[identity] = dict(self._files[one.id])
        self._tags[reference] = identity

    def export(self, container: str) -> Iterator[bytes]:
        self.exported.append(container)
        layer = docker_archive.tar(self._files[self._one(container).id])
        yield layer[:700]
        self._one(container)
        yield layer[700:]

    def tag(self, image: str, *, reference: str) -> None:
        found = self.image(image)
        if found is None:
            raise NotFound("Could not tag.", facts=f"No such image: {image}")
        self._tags[reference] = found.id

    def disk(self, container: str) -> dict[str, str]:
        return {"type": "none", "device": f"/disks/{self._one(container).id}", "o": "bind"}

    def untag(self, reference: str) -> None:
        self._answer()
        identity = self._tags.get(reference)
        others = [tag for tag, image in self._tags.items() if image == identity and tag != reference]
        if identity and not others:
            if any(one.image == identity for one in self._containers.values()):
                raise Busy(f"Could not remove image {reference}.", facts="a container is using it")
            self._images.pop(identity, None)
        self._tags.pop(reference, None)

    def drop(self, image: str) -> None:
        self._answer()
        used = {*self._tags.values(), *(one.image for one in self._containers.values())}
        if image not in used:
            self._images.pop(image, None)

    def tagged(self, repository: str) -> Sequence[str]:
        return [tag for tag in self._tags if tag.startswith(f"{repository}:")]

    def events(self, *, host: str) -> "_Stream":
        self._answer()
        stream = _Stream(host)
        self._streams.append(stream)
        return stream

    def shell(self, container: str, *, command: tuple[str, ...]) -> "_Shell":
        one = self._one(container)
        if one.status != "running":
            raise Busy("Could not open a terminal.", facts=f"Container {container} is not running")
        shell = _Shell(one.name, command)
        self.shells.append(shell)
        return shell

    def end_shells(self, container: str, *, mark: str) -> int:
        name = self._one(container).name
        found = [one for one in self.shells if one.open and one.container == name and one.command[-1] == mark]
        for one in found:
            one.hang_up()
        return len(found)

    # What a test does to it.

    def end(self, container: str, *, code: int, oom: bool = False, after: int = 30) -> None:
        """Let a container's process end by itself, `after` seconds."""
        one = self._one(container)
        ended = f"2026-01-01T00:00:{after:02}.123456789Z"
        self._change(one, "die", status="exited", pid=0, exit_code=code, oom_killed=oom, finished_at=ended)

    def starve(self, container: str) -> None:
        """Let the kernel kill one of a container's processes, which runs on, for want of memory."""
        self._tell(self._one(container), "oom")

    def write(self, container: str, output: bytes) -> None:
        """Let a container's process write something."""
        name = self._one(container).name
        self._output[name] = self._output.get(name, b"") + output

    def cut(self) -> None:
        """Break the event streams, as a daemon that restarts."""
        for stream in self._streams:
            stream.put(EngineUnreachable("cut"))
        self._streams.clear()

    def tags(self) -> set[str]:
        return set(self._tags)

    def _archive(self, files: dict[str, bytes], *, image: Image) -> Iterator[bytes]:
        layer = docker_archive.tar(files)
        content = disk_image.measured([layer])
        yield from disk_image.one_layer([layer], content=content, origin=image.origin)

    def _answer(self) -> None:
        if not self.reachable:
            raise EngineUnreachable("Could not reach the Docker daemon: no answer.")

    def _one(self, container: str) -> Container:
        one = self.inspect(container)
        if one is None:
            raise NotFound("Could not.", facts=f"No such container: {container}")
        return one

    def _argv(self, image: str) -> tuple[str, ...]:
        return (*self._images[image].entrypoint, *self._images[image].command)

    def _change(self, one: Container, action: str, **changes: object) -> None:
        with self._lock:
            self._containers[one.name] = replace(one, **changes)
            self._tell(self._containers[one.name], action)

    def _tell(self, one: Container, action: str) -> None:
        event = EngineEvent(
            action=action,
            container=one.id,
            uuid=one.labels.get(names.LABEL_UUID, ""),
            role=one.labels.get(names.LABEL_ROLE, ""),
            exit_code=one.exit_code if action == "die" else None,
        )
        for stream in self._streams:
            if stream.host == one.labels.get(names.LABEL_HOST):
                stream.put(event)


class _Shell:
    """Says `$ `, repeats what is typed, and ends with `exit`."""

    def __init__(self, container: str, command: tuple[str, ...]) -> None:
        self.container = container
        self.command = command
        self.open = True
        self._reads, self._writes = os.pipe()
        os.write(self._writes, b"$ ")
        self._ended = False

    def fileno(self) -> int:
        return self._reads

    def read(self) -> bytes:
        return os.read(self._reads, 65536)

    def write(self, data: bytes) -> None:
        if not self._ended:
            os.write(self._writes, data)
        if data.strip() == b"exit":
            self._end()

    def hang_up(self) -> None:
        if self.open:
            self.open = False
            self._end()
            os.close(self._reads)

    def _end(self) -> None:
        if not self._ended:
            self._ended = True
            os.close(self._writes)


class _Stream:
    def __init__(self, host: str) -> None:
        self.host = host
        self._queue: queue.Queue[EngineEvent | EngineError | None] = queue.Queue()

    def put(self, event: EngineEvent | EngineError) -> None:
        self._queue.put(event)

    def __iter__(self) -> Iterator[EngineEvent]:
        while (event := self._queue.get()) is not None:
            if isinstance(event, EngineError):
                raise event
            yield event

    def close(self) -> None:
        self._queue.put(None)


def _unpacked(layer: bytes) -> Iterator[tuple[str, bytes]]:
    try:
        with tarfile.open(fileobj=io.BytesIO(layer)) as tar:
            yield from ((entry.name, _read(tar, entry.name)) for entry in tar if entry.isreg())
    except tarfile.TarError:  # tests that look at other things make do with any bytes
        return


def _read(tar: tarfile.TarFile, name: str) -> bytes:
    stream = tar.extractfile(name)
    assert stream is not None
    return stream.read()
