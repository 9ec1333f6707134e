# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""Build the demo images where they are missing or where what they are made of has changed."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from novadocker import files as disk_files
from novadocker.host.images import container, machine, packages

_BUSYBOX = ("busybox-static", "/bin/busybox")
_SYSLINUX = ("syslinux", "/usr/bin/syslinux")
_MTOOLS = ("mtools", "/usr/bin/mtools")


@dataclass(frozen=True, kw_only=True)
class DemoImages:
    """Where the images are, under the names Glance is told."""

    container: Path  # for `docker load`
    machine: Path  # for `openstack image create --disk-format raw --container-format bare`
    changed: bool


def demo_images(folder: Path, *, say: Callable[[str], None] = lambda _: None) -> DemoImages:
    """Both images in `folder`, built if need be; the packages they come from are kept in `folder`/packages.

    :param say: told what takes time.
    :raises NovaDockerError: if a package cannot be fetched or a program fails.
    """
    archive, disk, recipe = folder / "httpd.tar", folder / "vm.img", folder / "recipe.json"
    wanted = {"source": source_digest()}
    made = _made(recipe)
    if made.get("source") == wanted["source"] and all(
        file.is_file() and file.stat().st_size == made.get(file.name) for file in (archive, disk)
    ):
        return DemoImages(container=archive, machine=disk, changed=False)
    say("fetching busybox, a kernel and a boot loader from Debian")
    kernel = packages.kernel_package()
    debs = packages.fetch(
        [kernel, *(name for name, _ in (_BUSYBOX, _SYSLINUX, _MTOOLS))], cache=folder / "packages"
    )
    say("building the demo images")
    busybox, syslinux, mtools = (
        packages.read(debs[name], [path])[path] for name, path in (_BUSYBOX, _SYSLINUX, _MTOOLS)
    )
    disk_files.write(archive, container.archive(busybox))
    modules = {name: machine.module_path(name, kernel=kernel) for name in machine.MODULES}
    boot = machine.kernel_path(kernel)
    content = packages.read(debs[kernel], [boot, *modules.values()])
    machine.write_disk(
        disk,
        kernel=content[boot],
        initrd=machine.initramfs(busybox, {name: content[path] for name, path in modules.items()}),
        programs={"syslinux": syslinux, "mtools": mtools},
    )
    facts = {
        **wanted,
        "packages": sorted(path.name for path in debs.values()),
        **{file.name: file.stat().st_size for file in (archive, disk)},
    }
    disk_files.write(recipe, json.dumps(facts, indent=2) + "\n")
    return DemoImages(container=archive, machine=disk, changed=True)


def source_digest() -> str:
    """A digest of this room's own files, so that a changed builder builds anew."""
    digest = hashlib.sha256()
    room = files(__package__)
    for part in (room, room / "content"):
        for entry in sorted(part.iterdir(), key=lambda entry: entry.name):
            if entry.is_file():
                digest.update(entry.name.encode() + b"\0" + entry.read_bytes() + b"\0")
    return digest.hexdigest()


def _made(recipe: Path) -> dict[str, object]:
    try:
        made = json.loads(recipe.read_text())
    except (FileNotFoundError, json.JSONDecodeError):
        return {}
    return made if isinstance(made, dict) else {}
