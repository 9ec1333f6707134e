# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""The demo VM image: Debian's cloud kernel and a busybox guest on a bootable disk of 24 MiB."""

import gzip
import tempfile
from collections.abc import Mapping
from pathlib import Path

from novadocker.host.images import archives
from novadocker.host.images.container import content
from novadocker.run import run

# In loading order, each after what it stands on (modules.dep is not in the package: depmod writes it later).
MODULES = (
    "drivers/virtio/virtio_ring",
    "drivers/virtio/virtio",
    "drivers/virtio/virtio_pci_legacy_dev",
    "drivers/virtio/virtio_pci_modern_dev",
    "drivers/virtio/virtio_pci",
    "net/core/failover",
    "drivers/net/net_failover",
    "drivers/net/virtio_net",
    "drivers/block/virtio_blk",
    "drivers/input/evdev",
    "drivers/acpi/button",
)
# Where Open vSwitch forwards in user space, nobody completes a checksum the guest leaves to its network card:
# ping works and TCP does not. So this guest computes its own.
_OPTIONS = {"virtio_net": "csum=0 gso=0"}
APPLETS = (
    "acpid", "awk", "cat", "cttyhack", "cut", "dmesg", "echo", "env", "grep", "head", "hostname", "httpd",
    "id", "insmod", "ip", "ls", "mkdir", "mount", "mv", "nc", "nslookup", "ping", "poweroff", "ps",
    "reboot", "rm", "sed", "setsid", "sh", "sleep", "timeout", "tr", "udhcpc", "uname", "wget",
)  # fmt: skip
SYSLINUX = """\
DEFAULT linux
LABEL linux
LINUX vmlinuz
INITRD initrd
APPEND console=tty0 console=ttyS0 quiet loglevel=3 panic=10
"""
_SIZE = 24 << 20
_SERIAL = "4e444f4b"  # of the FAT file system; mformat takes the time of day for it otherwise


def module_path(name: str, *, kernel: str) -> str:
    """Where a kernel package (`linux-image-<version>`) keeps a module."""
    return f"/lib/modules/{kernel.removeprefix('linux-image-')}/kernel/{name}.ko"


def kernel_path(kernel: str) -> str:
    """Where a kernel package keeps the kernel."""
    return f"/boot/vmlinuz-{kernel.removeprefix('linux-image-')}"


def initramfs(busybox: bytes, modules: Mapping[str, bytes]) -> bytes:
    """The guest's whole file system, compressed; `modules` by their names in `MODULES`."""
    order = [name.rsplit("/", 1)[-1] for name in MODULES]
    nodes = [
        archives.character_device("dev/console", major=5, minor=1),
        archives.file("bin/busybox", busybox, executable=True),
        *(archives.link(f"bin/{applet}", "busybox") for applet in APPLETS),
        archives.file("bin/dhcp", content("dhcp"), executable=True),
        archives.file("etc/acpi/PWRF/00000080", "#!/bin/sh\npoweroff -f\n", executable=True),
        archives.file("etc/passwd", "root:x:0:0:root:/:/bin/sh\n"),
        archives.file("init", content("init"), executable=True),
        archives.file(
            "modules/order", "".join(f"{name} {_OPTIONS.get(name, '')}".strip() + "\n" for name in order)
        ),
        *(archives.file(f"modules/{name.rsplit('/', 1)[-1]}.ko", modules[name]) for name in MODULES),
        *(archives.folder(name) for name in ("proc", "run", "sys", "tmp")),
        archives.file("www/cgi-bin/fetch", content("fetch"), executable=True),
    ]
    return gzip.compress(archives.cpio(nodes), compresslevel=6, mtime=archives.TIME)


def write_disk(disk: Path, *, kernel: bytes, initrd: bytes, programs: Mapping[str, bytes]) -> None:
    """Make `disk` a FAT file system that boots the kernel by SYSLINUX.

    Nova takes an image declared `raw` only if nothing else is recognised in it; a FAT file system on the bare
    disk is no partition table to it (oslo_utils.imageutils.format_inspector).

    :param programs: `syslinux` and `mtools`, which are run from a folder of their own, not from this machine.
    """
    with tempfile.TemporaryDirectory(prefix="nova-docker-image-") as name:
        work = Path(name)
        bin_folder = work / "bin"
        bin_folder.mkdir()
        for program, data in programs.items():
            (bin_folder / program).write_bytes(data)
            (bin_folder / program).chmod(0o755)
        for applet in ("mattrib", "mcopy", "mformat", "mmove"):
            (bin_folder / applet).symlink_to("mtools")
        for file, data in (("vmlinuz", kernel), ("initrd", initrd), ("syslinux.cfg", SYSLINUX.encode())):
            (work / file).write_bytes(data)
        image = work / "disk"
        with image.open("wb") as stream:
            stream.truncate(_SIZE)
        environment = {
            "PATH": f"{bin_folder}:/usr/bin:/bin",
            "SOURCE_DATE_EPOCH": str(archives.TIME),
            "MTOOLS_SKIP_CHECK": "1",
            "MTOOLSRC": "/dev/null",
            "TZ": "UTC",
        }
        geometry = ("-h", "64", "-s", "32", "-t", str(_SIZE // (64 * 32 * 512)))
        run(
            [
                bin_folder / "mformat",
                "-i",
                image,
                "-N",
                _SERIAL,
                *geometry,
                "-m",
                "0xf8",
                "-v",
                "NOVADOCKER",
                "::",
            ],
            environment=environment,
        )
        run(
            [
                bin_folder / "mcopy",
                "-i",
                image,
                *(work / file for file in ("vmlinuz", "initrd", "syslinux.cfg")),
                "::",
            ],
            environment=environment,
        )
        run([bin_folder / "syslinux", "--install", image], environment=environment)
        disk.parent.mkdir(parents=True, exist_ok=True)
        partial = disk.with_name(f".{disk.name}.partial")
        partial.write_bytes(image.read_bytes())
        partial.replace(disk)
