# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""The doors: one protocol per outside thing, and the values that pass through it.

Rooms know these; only the driver knows who stands behind them, and the tests' fakes sit the same
examination as the real ones (tests/contract).
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from novadocker.virt.docker.facts import EngineFacts, File, Image
from novadocker.virt.docker.identities import Identities
from novadocker.virt.docker.power import Container
from novadocker.virt.docker.spec import ContainerSpec


@dataclass(frozen=True, kw_only=True)
class EngineEvent:
    """Something happened to a container of ours: start, die, pause, unpause, oom or destroy."""

    action: str
    container: str
    uuid: str
    role: str
    exit_code: int | None = None


class EventStream(Protocol):
    """The daemon's events as they happen, until closed from any thread."""

    def __iter__(self) -> Iterator[EngineEvent]: ...

    def close(self) -> None: ...


class Terminal(Protocol):
    """The terminal of a process in a container; closed by `hang_up`, which ends the process."""

    def fileno(self) -> int: ...

    def read(self) -> bytes: ...

    def write(self, data: bytes) -> None: ...

    def hang_up(self) -> None: ...


class Engine(Protocol):
    """A Docker daemon. Containers are named or given by id; sizes are bytes, times seconds."""

    def facts(self) -> EngineFacts: ...

    def create(self, spec: ContainerSpec) -> str: ...

    def inspect(self, container: str) -> Container | None: ...

    def list(self, *, host: str, role: str) -> list[Container]: ...

    def start(self, container: str) -> None: ...

    def stop(self, container: str, *, grace: int) -> None: ...

    def kill(self, container: str) -> None: ...

    def pause(self, container: str) -> None: ...

    def unpause(self, container: str) -> None: ...

    def wait(self, container: str, *, timeout: float) -> int | None: ...

    def rename(self, container: str, *, name: str) -> None: ...

    def remove(self, container: str) -> None: ...

    def logs(self, container: str, *, limit: int) -> bytes: ...

    def put(self, container: str, archive: bytes) -> None: ...

    def read(self, container: str, path: str, *, limit: int) -> File | None: ...

    def image(self, reference: str) -> Image | None: ...

    def load(self, archive: Iterable[bytes]) -> None: ...

    def save(self, reference: str) -> Iterator[bytes]: ...

    def commit(self, container: str, *, reference: str) -> None: ...

    def export(self, container: str) -> Iterator[bytes]: ...

    def tag(self, image: str, *, reference: str) -> None: ...

    def disk(self, container: str) -> Mapping[str, str]: ...

    def untag(self, reference: str) -> None: ...

    def drop(self, image: str) -> None: ...

    def tagged(self, repository: str) -> Sequence[str]: ...

    def events(self, *, host: str) -> EventStream: ...

    def shell(self, container: str, *, command: tuple[str, ...]) -> Terminal: ...

    def end_shells(self, container: str, *, mark: str) -> int: ...


@dataclass(frozen=True, kw_only=True)
class HostDevice:
    """A device on the host: its kind (veth, tun, …), its alias, and whether its peer is on the host too."""

    name: str
    kind: str
    alias: str
    peer_here: bool


@dataclass(frozen=True, kw_only=True)
class InterfaceConfig:
    """An interface inside a namespace. Routes are (destination, next hop or empty, metric).

    `own_answers`: packets from its addresses leave through it, whatever the destination's route says.
    """

    name: str
    mac: str
    mtu: int
    addresses: tuple[str, ...]
    routes: tuple[tuple[str, str, int], ...]
    checksum_in_software: bool
    own_answers: bool = False


class Netlink(Protocol):
    """Network devices of this host; `namespace` is the path of a network namespace."""

    def add_pair(
        self, host_device: str, peer: str, *, mtu: int, alias: str, namespace: str | None = None
    ) -> None: ...

    def device(self, name: str) -> HostDevice | None: ...

    def owned(self, owner: str) -> list[HostDevice]: ...

    def delete(self, name: str) -> None: ...

    def join_bridge(self, name: str, *, bridge: str) -> None: ...

    def bring_in(self, peer: str, *, namespace: str, config: InterfaceConfig) -> None: ...

    def adjust(self, *, namespace: str, config: InterfaceConfig) -> None: ...

    def inside(self, *, namespace: str) -> dict[str, str]: ...

    def loopback(self, *, namespace: str) -> None: ...

    def announce(self, *, namespace: str) -> None: ...


class NamespaceStore(Protocol):
    """Namespaces that need no process, each server's in a folder; `make` and `adopt` raise LinkError."""

    def identities(self, uid: int, gid: int) -> Identities: ...

    def make(self, place: Path, *, users: Identities | None) -> None: ...

    def adopt(self, place: Path, *, pid: int, user: bool) -> None: ...

    def held(self, place: Path, *, user: bool) -> bool: ...

    def remove(self, place: Path) -> None: ...


@dataclass(frozen=True, kw_only=True)
class SwitchPort:
    """A port of the switch. `owner` is the CONF.host that marked it, empty for one without a mark."""

    device: str
    port_id: str
    server: str
    owner: str
    installed: bool
    error: str


@dataclass(frozen=True, kw_only=True)
class Chassis:
    """What this machine's switch calls itself towards OVN; empty where it was never told."""

    hostname: str
    system_id: str
    remote: str
    bridge: str  # the integration bridge


class SwitchDB(Protocol):
    """This machine's Open vSwitch database. Every method raises SwitchUnreachable when it does not answer."""

    def chassis(self) -> Chassis: ...

    def port(self, device: str) -> SwitchPort | None: ...

    def owned(self, owner: str) -> list[SwitchPort]: ...

    def mark(self, device: str, *, owner: str) -> None: ...

    def remove(self, device: str) -> None: ...

    def wait_installed(self, devices: list[str], *, timeout: float) -> list[str]: ...

    def close(self) -> None: ...


@dataclass(frozen=True, kw_only=True)
class DhcpPort:
    """A network's DHCP ports: their addresses, and the domain of names there (empty: it has none)."""

    addresses: tuple[str, ...] = ()
    domain: str = ""


class FolderStore(Protocol):
    """Folders that hold no more than their size, in bytes. Every method raises StorageError."""

    def ensure(self, place: Path, *, size: int, owner: int) -> None: ...

    def remove(self, place: Path) -> None: ...


class NetworkService(Protocol):
    """The network service, as far as Nova did not ask already."""

    def dhcp(self, context: Any, network_id: str) -> DhcpPort: ...

    def agents(self, context: Any, host: str) -> list[dict[str, Any]]: ...


class Plugging(Protocol):
    """The switch as os-vif sees it. `bridge` is a Linux bridge the host's end belongs in, or None."""

    def plug(self, instance: Any, vif: Mapping[str, Any]) -> str | None: ...

    def unplug(self, instance: Any, vif: Mapping[str, Any]) -> None: ...


class ImageService(Protocol):
    """The image service, as Nova's own client of it."""

    def get(self, context: Any, id_or_uri: str) -> dict[str, Any]: ...

    def update(
        self, context: Any, id_or_uri: str, image_info: dict[str, Any], data: Any = None
    ) -> dict[str, Any]: ...


class DriveContent(Protocol):
    """What belongs on a server's config drive: paths below it, each with what is in the file."""

    def __call__(
        self, instance: Any, network_info: Any, *, files: Sequence[tuple[str, bytes]], password: str | None
    ) -> Iterable[tuple[str, bytes]]: ...


class Spool(Protocol):
    """Where an image's data goes while it is fetched."""

    def write(self, chunk: bytes, /) -> int: ...

    def truncate(self, size: int, /) -> int: ...


class Fetch(Protocol):
    """Download an image's data, checking its signature where certificates are given or Nova is told to."""

    def __call__(self, context: Any, image_id: str, data: Spool, *, trusted_certs: Any) -> None: ...


class DiskStore(Protocol):
    """Where a server's disk is while it moves. Raises ServiceError."""

    def put(self, context: Any, instance: Any, data: Iterator[bytes], *, size: int) -> str: ...

    def delete(self, context: Any, image_id: str) -> None: ...
