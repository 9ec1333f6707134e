# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""The only speaker of the Docker API. It takes and returns our values, and raises our errors."""

import io
import json
import tarfile
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import docker
import requests
import urllib3
from docker import errors as docker_errors
from docker.transport import UnixHTTPAdapter
from docker.types import DriverConfig, LogConfig, Mount
from oslo_log import log as logging

from novadocker.virt.docker import disk_image, hijack, names
from novadocker.virt.docker.doors import EngineEvent, EventStream, Terminal
from novadocker.virt.docker.errors import Busy, EngineError, EngineUnreachable, NotFound, ReadOnlyRoot
from novadocker.virt.docker.facts import EngineFacts, File, Image
from novadocker.virt.docker.power import Container
from novadocker.virt.docker.spec import ContainerSpec

LOG = logging.getLogger(__name__)

# Seconds for what depends on an image's size; the daemon is silent until it is done.
_SLOW = 3600

# What the kernel takes of a mount's options: a page, with the zero at its end.
_MOUNT_OPTIONS = 4096

# What runc says where the kernel's quota for a user is used up: each container has a key, and all one user.
_NO_KEY = "unable to create session key: disk quota exceeded"

# Connections to the daemon that are kept. Nova builds ten servers at once, and may delete others.
_CONNECTIONS = 32

# Console output kept per server, by Docker itself: two files, the older one dropped when the newer is full.
# Its `local` format keeps every byte; json-file turns those that are no UTF-8 into U+FFFD.
_LOG_LIMIT = {"max-size": "1m", "max-file": "2"}


# Of a mode as Go writes it, what makes a file no plain one: directory, link, device, pipe, socket (io/fs).
_NOT_PLAIN = 1 << 31 | 1 << 27 | 1 << 26 | 1 << 25 | 1 << 24 | 1 << 21 | 1 << 19
# What a tar archive of one file has beside its content: headers, and zeros at its end.
_AROUND = 16 << 10


class _OnePool(UnixHTTPAdapter):  # type: ignore[misc]
    """Connections to the daemon's socket, whatever is asked for: the SDK keeps some for each address."""

    def get_connection(self, url: str, proxies: Any = None) -> Any:
        """Return the pool."""
        return super().get_connection("http+docker://localhost", proxies)


class DockerEngine:
    """A Docker daemon behind its socket."""

    def __init__(self, *, url: str, timeout: int) -> None:
        self._url = url
        self._timeout = timeout
        self._version: str | None = None
        self._lock = threading.Lock()
        self._shared: Any = None

    def facts(self) -> EngineFacts:
        """Ask the daemon about itself; settles the API version when first called."""
        with self._translate("ask the Docker daemon about itself"):
            info, version = self._api().info(), self._api().version()
        status = dict(info.get("DriverStatus") or ())
        options = " ".join(info.get("SecurityOptions") or ())
        return EngineFacts(
            version=version["Version"],
            api_version=self._api()._version,
            storage_driver=info["Driver"],
            backing_filesystem=status.get("Backing Filesystem", ""),
            root_dir=info["DockerRootDir"],
            cgroup_driver=info.get("CgroupDriver", ""),
            cgroup_version=str(info.get("CgroupVersion", "1")),
            cpus=info["NCPU"],
            memory_bytes=info["MemTotal"],
            architecture=info["Architecture"],
            user_namespaces="name=userns" in options,
            seccomp="name=seccomp" in options and "profile=unconfined" not in options,
            runtime=info.get("DefaultRuntime", ""),
            runtime_path=_program_of(info),
            runtimes=frozenset(info.get("Runtimes") or ()),
            live_restore=bool(info.get("LiveRestoreEnabled")),
        )

    def create(self, spec: ContainerSpec) -> str:
        """Create a container and return its id; raises Busy where the name is taken."""
        api = self._api()
        host_config = api.create_host_config(
            network_mode=spec.network or "none",
            mem_limit=spec.memory,
            memswap_limit=spec.memory + spec.swap,
            # The cap is the flavor's; the weight keeps it fair between flavors where processors are
            # overcommitted.
            cpu_period=spec.cpu_period or None,
            cpu_quota=spec.cpu_quota or None,
            cpuset_cpus=spec.cpuset or None,
            cpuset_mems=spec.memory_nodes or None,
            cpu_shares=spec.cpu_shares or None,
            **_rates(spec),
            pids_limit=spec.pids,
            cap_drop=["ALL"],
            cap_add=list(spec.cap_add),
            security_opt=["no-new-privileges"] if spec.no_new_privileges else None,
            read_only=spec.read_only,
            tmpfs=dict(spec.tmpfs) or None,
            shm_size=spec.shm or None,
            init=spec.init,
            restart_policy={"Name": "no"},
            binds=[
                *(f"{source}:{target}:ro" for source, target in spec.binds.items()),
                *(f"{source}:{target}" for source, target in spec.disks.items()),
            ],
            mounts=[_mount(target, options) for target, options in spec.mounts.items()],
            storage_opt={"size": str(spec.disk)} if spec.disk else None,
            cgroup_parent=spec.cgroup_parent or None,
            runtime=spec.runtime or None,
            log_config=LogConfig(type="local", config=_LOG_LIMIT) if spec.log else LogConfig(type="none"),
        )
        with self._translate(f"create container {spec.name}"):
            answer = api.create_container(
                spec.image,
                command=list(spec.command) or None,
                name=spec.name,
                hostname=spec.hostname or None,
                network_disabled=not spec.network,
                user=spec.user or None,
                environment=dict(spec.environment) or None,
                working_dir=spec.working_dir or None,
                labels=dict(spec.labels),
                stop_signal=spec.stop_signal or None,
                host_config=host_config,
            )
        for words in answer.get("Warnings") or ():
            # Among them: a limit this kernel does not have, left out.
            LOG.warning(
                "The Docker daemon on container %(name)s: %(words)s", {"name": spec.name, "words": words}
            )
        return str(answer["Id"])

    def inspect(self, container: str) -> Container | None:
        """Look at a container; None when there is none."""
        try:
            with self._translate(f"look at container {container}"):
                found = self._api().inspect_container(container)
        except NotFound:
            return None
        state = found["State"]
        return Container(
            id=found["Id"],
            name=found["Name"].lstrip("/"),
            status=state["Status"],
            pid=state.get("Pid", 0),
            exit_code=state.get("ExitCode", 0),
            oom_killed=bool(state.get("OOMKilled")),
            error=state.get("Error", ""),
            started_at=state.get("StartedAt", ""),
            finished_at=state.get("FinishedAt", ""),
            image=found["Image"],
            labels=found["Config"].get("Labels") or {},
            joins=(found["HostConfig"].get("NetworkMode") or "").startswith("container:"),
            may_reboot="SYS_BOOT" in (found["HostConfig"].get("CapAdd") or ()),
        )

    def list(self, *, host: str, role: str) -> list[Container]:
        """Return this host's containers in one role, running or not; without pids and exit codes."""
        wanted = [f"{names.LABEL_HOST}={host}", f"{names.LABEL_ROLE}={role}"]
        with self._translate("list containers"):
            found = self._api().containers(all=True, filters={"label": wanted})
        return [
            Container(
                id=one["Id"],
                name=one["Names"][0].lstrip("/") if one.get("Names") else "",
                status=one["State"],
                image=one.get("ImageID", ""),
                labels=one.get("Labels") or {},
            )
            for one in found
        ]

    def start(self, container: str) -> None:
        """Start a container; starting a running one changes nothing."""
        with self._translate(f"start container {container}"):
            self._api().start(container)

    def stop(self, container: str, *, grace: int) -> None:
        """Ask a container to stop, kill it after `grace` seconds; a stopped one stays so."""
        with self._translate(f"stop container {container}"):
            self._api().stop(container, timeout=grace)

    def kill(self, container: str) -> None:
        """Kill a container at once; one that does not run is left as it is."""
        try:
            with self._translate(f"kill container {container}"):
                self._api().kill(container)
        except Busy:  # "is not running"
            return

    def pause(self, container: str) -> None:
        """Freeze a container's processes."""
        with self._translate(f"pause container {container}"):
            self._api().pause(container)

    def unpause(self, container: str) -> None:
        """Let a frozen container go on."""
        with self._translate(f"unpause container {container}"):
            self._api().unpause(container)

    def wait(self, container: str, *, timeout: float) -> int | None:
        """Wait until a container has ended and return its exit code; None when it runs on."""
        try:
            with self._translate(f"wait for container {container}"):
                answer = self._api().wait(container, timeout=timeout)
        except _TimedOut:
            return None
        return int(answer["StatusCode"])

    def rename(self, container: str, *, name: str) -> None:
        """Give a container another name; raises Busy where that is taken."""
        with self._translate(f"rename container {container}"):
            self._api().rename(container, name)

    def remove(self, container: str) -> None:
        """Kill and remove a container and its anonymous volumes; one that is gone already is fine."""
        try:
            with self._translate(f"remove container {container}"):
                self._api().remove_container(container, v=True, force=True)
        except NotFound:
            return

    def logs(self, container: str, *, limit: int) -> bytes:
        """Return the last `limit` bytes a container wrote to its output and error."""
        kept = bytearray()
        with self._translate(f"read the output of container {container}"):
            for chunk in self._api().logs(container, stdout=True, stderr=True, stream=True, follow=False):
                kept += chunk
                del kept[:-limit]
        return bytes(kept)

    def put(self, container: str, archive: bytes) -> None:
        """Unpack a tar archive at a container's root, running or not; a directory never gives way to a file.

        The daemon does it in a chroot, so that a link inside leads nowhere else, and maps owners: 0 is the
        container's root.

        :raises: ReadOnlyRoot
        """
        api = self._api()
        try:
            with self._translate(f"put files into container {container}"):
                # The SDK's put_archive cannot say the second parameter; without it /etc could be replaced.
                answer = api._put(
                    api._url("/containers/{0}/archive", container),
                    params={"path": "/", "noOverwriteDirNonDir": "true"},
                    data=archive,
                )
                api._raise_for_status(answer)
        except EngineError as error:
            if "rootfs is marked read-only" in error.facts:
                raise ReadOnlyRoot(error.summary, facts="Its root disk is read-only.") from error
            raise

    def read(self, container: str, path: str, *, limit: int) -> File | None:
        """Return a plain file of a container, running or not; None where there is none.

        :raises: EngineError when it has more than `limit` bytes.
        """
        try:
            with self._translate(f"read {path} of container {container}"):
                stream, found = self._api().get_archive(container, path)
                if found["mode"] & _NOT_PLAIN:
                    stream.close()
                    return None
                # A tenant's process may let it grow meanwhile: not more is read than is wanted.
                packed = bytearray()
                while len(packed) <= limit + _AROUND and (chunk := next(stream, b"")):
                    packed += chunk
                stream.close()
        except NotFound:
            return None
        with tarfile.open(fileobj=io.BytesIO(packed)) as tar:
            entry = tar.next()
            if entry is None or entry.size > limit:
                size = entry.size if entry else 0
                raise EngineError(f"Could not read {path}.", facts=f"It has {size} bytes.")
            content = tar.extractfile(entry)
            if content is None:
                return None
            # The daemon maps owners on the way in, not on the way out.
            first_uid, first_gid = self.facts().root_owner
            return File(
                content=content.read(),
                mode=entry.mode & 0o7777,
                uid=entry.uid - first_uid if entry.uid >= first_uid else entry.uid,
                gid=entry.gid - first_gid if entry.gid >= first_gid else entry.gid,
            )

    def image(self, reference: str) -> Image | None:
        """Look at an image by id or tag; None when there is none."""
        try:
            with self._translate(f"look at image {reference}"):
                found = self._api().inspect_image(reference)
        except NotFound:
            return None
        config = found.get("Config") or {}
        return Image(
            id=found["Id"],
            entrypoint=tuple(config.get("Entrypoint") or ()),
            command=tuple(config.get("Cmd") or ()),
            size=found.get("Size", 0),
            architecture=found.get("Architecture", ""),
            settings=config,
        )

    def load(self, archive: Iterable[bytes]) -> None:
        """Load a docker-save archive, with the tags written in it."""
        with self._translate("load an image"), closing(self._connect(timeout=_SLOW)) as api:
            for line in api.load_image(iter(archive), quiet=True):
                if "error" in line:
                    raise EngineError("The Docker daemon refused the image.", facts=str(line["error"]))

    def save(self, reference: str) -> Iterator[bytes]:
        """Return an image as a docker-save archive with all its layers; the errors come while it is read."""
        return self._stream(f"save image {reference}", lambda api: api.get_image(reference))

    def commit(self, container: str, *, reference: str) -> None:
        """Make an image of a container's disk, with the settings of the image it came from.

        Its processes pause meanwhile. What Docker commits has the container's settings: its labels, hostname
        and environment. Of that image only the layers are used.
        """
        with (
            self._translate(f"commit container {container}"),
            closing(self._connect(timeout=_SLOW)) as api,
        ):
            base = self.image(api.inspect_container(container)["Image"])
            if base is None:
                raise NotFound(f"Could not commit container {container}.", facts="Its image is gone.")
            committed = api.commit(container)["Id"]
            try:
                layers = api.inspect_image(committed)["RootFS"]["Layers"]
                self.load([disk_image.of_known_layers(layers, origin=base.origin, tag=reference)])
            finally:
                api.remove_image(committed, noprune=True)

    def export(self, container: str) -> Iterator[bytes]:
        """Return a container's disk as a tar of its files; the errors come while it is read."""
        return self._stream(f"read the disk of container {container}", lambda api: api.export(container))

    def tag(self, image: str, *, reference: str) -> None:
        """Give an image one more tag, taking it from the image that had it."""
        repository, _, tag = reference.rpartition(":")
        with self._translate(f"tag image {image}"):
            self._api().tag(image, repository, tag, force=True)

    def disk(self, container: str) -> Mapping[str, str]:
        """Return how the disk of a container that does not run is mounted, as Docker's local volumes say it.

        Its writes count against the container's quota, as its own do.
        """
        with self._translate(f"find the disk of container {container}"):
            found = self._api().inspect_container(container)
            place = Path(self._api().info()["DockerRootDir"])
        storage = found["GraphDriver"]
        if storage["Name"] == "overlay2":
            data = storage["Data"]
            parts = {"lowerdir": data["LowerDir"], "upperdir": data["UpperDir"], "workdir": data["WorkDir"]}
            options = ",".join(f"{key}={value}" for key, value in parts.items())
            if len(options) < _MOUNT_OPTIONS:
                return {"type": "overlay", "device": "overlay", "o": options}
            raise EngineError("The server's image has too many layers for its disk to be mounted.")
        if storage["Name"] == "btrfs":
            try:
                known = (place / "image/btrfs/layerdb/mounts" / found["Id"] / "mount-id").read_text()
            except OSError as error:
                raise EngineError("Could not find the container's disk.", facts=str(error)) from error
            return {"type": "none", "device": str(place / "btrfs/subvolumes" / known), "o": "bind"}
        raise EngineError(f"A disk on the daemon's storage driver {storage['Name']} cannot be mounted.")

    def untag(self, reference: str) -> None:
        """Drop a tag, and with an image's last tag the image; one that is gone already is fine."""
        try:
            with self._translate(f"remove image {reference}"):
                self._api().remove_image(reference, noprune=False)
        except NotFound:
            return

    def drop(self, image: str) -> None:
        """Remove an image by its id if it has lost its last tag and no container needs it; else it stays."""
        try:
            with self._translate(f"remove image {image}"):
                if not self._api().inspect_image(image).get("RepoTags"):
                    self._api().remove_image(image, noprune=False)
        except (NotFound, Busy):
            return

    def tagged(self, repository: str) -> Sequence[str]:
        """Return the tags of a repository, whole ones."""
        with self._translate(f"list the images of {repository}"):
            found = self._api().images(name=repository)
        return [tag for one in found for tag in one.get("RepoTags") or () if tag.startswith(f"{repository}:")]

    def events(self, *, host: str) -> EventStream:
        """Subscribe to what happens to this host's containers; raises EngineUnreachable, also later."""
        with self._translate("subscribe to Docker's events"):
            # A connection of its own: it stays open, and is closed from another thread.
            api = self._connect()
            stream = api.events(
                decode=True, filters={"type": "container", "label": [f"{names.LABEL_HOST}={host}"]}
            )
        return _Events(stream, self._translate)

    def _stream(self, doing: str, ask: Callable[[Any], Iterable[bytes]]) -> Iterator[bytes]:
        # A connection of its own: whoever stops reading in the middle closes it.
        with self._translate(doing), closing(self._connect(timeout=_SLOW)) as api:
            yield from ask(api)

    def shell(self, container: str, *, command: tuple[str, ...]) -> Terminal:
        """Run a command in a running container, on a terminal of its own."""
        with self._translate(f"open a terminal in container {container}"):
            made = self._api().exec_create(
                container, list(command), stdin=True, tty=True, environment={"TERM": "xterm"}
            )["Id"]
            body = json.dumps({"Detach": False, "Tty": True}).encode()
            path = f"/v{self._version}/exec/{made}/start"
            status, early, link = hijack.connect(self._url, path, body=body, timeout=self._timeout)
        if status not in (101, 200):
            link.close()
            kind = {404: NotFound, 409: Busy}.get(status, EngineError)
            raise kind(
                f"Could not open a terminal in container {container}.", facts=early.decode(errors="replace")
            )
        return hijack.Terminal(link, early=early, inspect=partial(self._exec, made))

    def end_shells(self, container: str, *, mark: str) -> int:
        """End a container's terminals whose command ends with `mark`; return how many there were."""
        with self._translate(f"look for terminals in container {container}"):
            running = self._api().inspect_container(container).get("ExecIDs") or ()
        found = [
            one
            for one in running
            if self._exec(one).get("ProcessConfig", {}).get("arguments", [""])[-1:] == [mark]
        ]
        for one in found:
            hijack.end(partial(self._exec, one))
        return len(found)

    def _exec(self, known: str) -> dict[str, Any]:
        try:
            with self._translate("look at a process in a container"):
                return dict(self._api().exec_inspect(known))
        except NotFound:  # it went with its container, or the daemon has forgotten it
            return {}

    def _api(self) -> Any:
        # One for all threads: Nova starts one for many a task, and a client each left hundreds of connections
        # open until Python looked for garbage. Nothing is kept in its session, and its pool is for threads.
        with self._lock:
            if self._shared is None:
                self._shared = self._connect()
            return self._shared

    def _connect(self, *, timeout: int | None = None) -> Any:
        timeout = timeout or self._timeout
        with self._translate("reach the Docker daemon"):
            api = docker.APIClient(base_url=self._url, version=self._version or "auto", timeout=timeout)
        self._version = api._version
        first = api._custom_adapter  # by which it has asked for the version
        first.close()
        one = _OnePool(first.socket_path, timeout=timeout, max_pool_size=_CONNECTIONS)
        api.mount("http+docker://", one)
        return api

    @contextmanager
    def _translate(self, doing: str) -> Iterator[None]:
        """Turn the SDK's errors into ours: by status code, with the daemon's own words as the facts."""
        try:
            yield
        except docker_errors.APIError as error:
            kind = {404: NotFound, 409: Busy}.get(error.status_code or 0, EngineError)
            facts = str(error.explanation or error)
            if _NO_KEY in facts:
                raise EngineError(
                    f"Could not {doing}.",
                    facts="The kernel gives containers' root no more keys: kernel.keys.maxkeys.",
                    hint="sysctl kernel.keys.maxkeys=2000",
                ) from error
            raise kind(f"Could not {doing}.", facts=facts) from error
        except requests.exceptions.ReadTimeout as error:
            raise _TimedOut(f"Could not {doing}: no answer in time.") from error
        except requests.exceptions.ConnectionError as error:
            # The daemon sends the head of an answer at once and may take long over its body.
            if error.args and isinstance(error.args[0], urllib3.exceptions.ReadTimeoutError):
                raise _TimedOut(f"Could not {doing}: no answer in time.") from error
            raise self._unreachable(doing, error) from error
        except (requests.exceptions.RequestException, docker_errors.DockerException, OSError) as error:
            raise self._unreachable(doing, error) from error

    def _unreachable(self, doing: str, error: Exception) -> EngineUnreachable:
        return EngineUnreachable(
            f"Could not {doing}: no answer at {self._url}.",
            facts=_root(error),
            hint="Is dockerd running, and does [docker] host name its socket?",
        )


def _mount(target: str, options: Mapping[str, str]) -> Mount:
    """Return a volume without a name: mounted by the daemon at a start, removed with its container."""
    # Without no_copy Docker would fill it with what the image has in that place.
    local = DriverConfig("local", dict(options))
    return Mount(target, None, type="volume", no_copy=True, driver_config=local)


def _program_of(info: Mapping[str, Any]) -> str:
    """Return the file that the daemon runs for its default runtime; empty where it finds one by itself."""
    runtimes = info.get("Runtimes") or {}
    return str((runtimes.get(info.get("DefaultRuntime", "")) or {}).get("path") or "")


def _rates(spec: ContainerSpec) -> dict[str, list[dict[str, str | int]]]:
    named = {"bytes": "bps", "iops": "iops"}
    return {
        f"device_{way}_{named[unit]}": [{"Path": spec.rate_device, "Rate": spec.rates[f"{way}_{unit}"]}]
        for way in ("read", "write")
        for unit in named
        if f"{way}_{unit}" in spec.rates
    }


def _root(error: BaseException) -> str:
    """Return the system's own word at the bottom of the HTTP libraries' pile, where there is one."""
    below: BaseException | None = error
    while below is not None:
        if isinstance(below, OSError) and below.strerror:
            return f"{below.strerror}."
        below = below.__cause__ or below.__context__
    return str(error)


class _TimedOut(EngineUnreachable):
    """The daemon took the request and has not answered it yet."""


class _Events:
    def __init__(self, stream: Any, translate: Callable[[str], Any]) -> None:
        self._stream = stream
        self._translate = translate

    def __iter__(self) -> Iterator[EngineEvent]:
        with self._translate("follow Docker's events"):
            for raw in self._stream:
                actor = raw.get("Actor") or {}
                attributes = actor.get("Attributes") or {}
                code = attributes.get("exitCode")
                yield EngineEvent(
                    action=str(raw.get("Action", "")),
                    container=str(actor.get("ID", "")),
                    uuid=attributes.get(names.LABEL_UUID, ""),
                    role=attributes.get(names.LABEL_ROLE, ""),
                    exit_code=int(code) if code is not None else None,
                )

    def close(self) -> None:
        self._stream.close()
