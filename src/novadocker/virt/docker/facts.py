# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""What the daemon says about itself and its images (pure)."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

from novadocker import oci_runtime
from novadocker.virt.docker.disk_image import Origin

# Docker speaks Go's names of processors, the kernel its own.
_ARCHITECTURES = {
    "x86_64": "amd64",
    "aarch64": "arm64",
    "ppc64le": "ppc64le",
    "s390x": "s390x",
    "riscv64": "riscv64",
}


@dataclass(frozen=True, kw_only=True)
class EngineFacts:
    """The daemon: version, storage, control groups, size of the machine it runs on."""

    version: str
    api_version: str
    storage_driver: str
    backing_filesystem: str
    root_dir: str
    cgroup_driver: str
    cgroup_version: str
    cpus: int
    memory_bytes: int
    architecture: str
    user_namespaces: bool = False
    seccomp: bool = False
    runtime: str = ""
    runtime_path: str = ""
    runtimes: frozenset[str] = frozenset()
    live_restore: bool = False

    @property
    def image_architecture(self) -> str:
        """The architecture an image must have to run here, as images spell it."""
        return _ARCHITECTURES.get(self.architecture, self.architecture)

    @property
    def sandbox_runtime(self) -> str:
        """What a sandbox runs under, where that is not the default.

        What is in front of runc guards what a tenant runs; a sandbox runs our one system call.
        """
        if self.runtime != oci_runtime.NAME:
            return ""
        return oci_runtime.SANDBOXES if oci_runtime.SANDBOXES in self.runtimes else oci_runtime.RUNTIME

    @property
    def holds_starts(self) -> bool:
        """Whether a start waits for its gate; another runtime knows of none."""
        return self.runtime == oci_runtime.NAME

    @property
    def version_number(self) -> int:
        """The version as the one integer Nova keeps of a hypervisor: 20.10.24 is 20010024."""
        numbers = [
            int(part) for part in self.version.split("+")[0].split("-")[0].split(".")[:3] if part.isdigit()
        ]
        major, minor, patch = [*numbers, 0, 0, 0][:3]
        return major * 1_000_000 + minor * 1_000 + patch

    @property
    def root_owner(self) -> tuple[int, int]:
        """The user and group that root of a container is on the host.

        Source: with userns-remap dockerd keeps everything below a folder of its own, named <uid>.<gid>.
        """
        uid, _, gid = PurePosixPath(self.root_dir).name.partition(".")
        if self.user_namespaces and uid.isdigit() and gid.isdigit():
            return int(uid), int(gid)
        return 0, 0


@dataclass(frozen=True, kw_only=True)
class File:
    """A file inside a container: its owner and group as they are in there."""

    content: bytes
    mode: int
    uid: int
    gid: int


@dataclass(frozen=True, kw_only=True)
class Image:
    """An image on the daemon: its id (the digest of its configuration) and what it runs.

    :param settings: all that its configuration says of its process, as images spell it.
    """

    id: str
    entrypoint: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    size: int = 0
    architecture: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)

    @property
    def origin(self) -> Origin:
        """What a disk made from it carries on."""
        return Origin(settings=self.settings, architecture=self.architecture)


def shortcomings(facts: EngineFacts, *, disk_limit: bool) -> Iterator[str]:
    """Yield what a daemon does not hold a container to, in words for the log."""
    if not disk_limit:
        yield (
            f"Docker's storage driver {facts.storage_driver} cannot limit a container's disk here: root "
            "disks are not enforced. btrfs can, and overlay2 on an xfs mounted with pquota."
        )
    if facts.storage_driver == "btrfs" and facts.runtime != oci_runtime.NAME:
        yield (
            f"dockerd's runtime is {facts.runtime or 'not told'}, not {oci_runtime.NAME}: who makes btrfs "
            "subvolumes inside a container has as much disk as there is."
        )
    if not facts.user_namespaces:
        yield "dockerd runs without --userns-remap: root in a container is root's uid on this host."
    if not facts.seccomp:
        yield "dockerd confines no system calls (seccomp): every container has all of them."


def disk_limit_supported(facts: EngineFacts, mountinfo: str) -> bool:
    """Say whether the storage driver can hold a container to a size.

    btrfs has qgroups; overlay2 needs project quotas, which only an xfs mounted with them has.
    Source: Docker's storage driver options, `overlay2.size` and `btrfs`.
    """
    if facts.storage_driver == "btrfs":
        return True
    if facts.storage_driver != "overlay2" or facts.backing_filesystem != "xfs":
        return False
    mounts = [line.split() for line in mountinfo.splitlines() if line]
    holding = [
        m for m in mounts if facts.root_dir == m[4] or facts.root_dir.startswith(m[4].rstrip("/") + "/")
    ]
    best = max(holding, key=lambda m: len(m[4]), default=None)
    return best is not None and any(word in {"prjquota", "pquota"} for word in best[-1].split(","))
