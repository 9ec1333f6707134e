# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""The floor of VMs: what libvirt itself takes to define and start the same domain, without a network."""

import shutil
import time
import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

from novadocker import files, run
from novadocker.host.bench import phases
from novadocker.host.bench.servers import PREFIX


def alike(description: str, *, name: str, uuid: str, disk: Path, folder: Path) -> str:
    """A domain like another, with a disk of its own, and neither a network nor Nova's notes; pure.

    :param description: libvirt's XML of the other.
    """
    root = ET.fromstring(description)
    root.attrib.pop("id", None)
    for tag, text in (("name", name), ("uuid", uuid)):
        found = root.find(tag)
        if found is not None:
            found.text = text
    for tag in ("metadata", "seclabel", "sysinfo"):
        for found in root.findall(tag):
            root.remove(found)
    for smbios in root.findall("os/smbios"):
        root.find("os").remove(smbios)  # type: ignore[union-attr]
    devices = root.find("devices")
    for interface in devices.findall("interface") if devices is not None else []:
        devices.remove(interface)  # type: ignore[union-attr]
    for source in root.findall("devices/disk[@device='disk']/source"):
        source.attrib = {"file": str(disk)}
    for log in root.iterfind("devices//log"):
        log.set("file", str(folder / "console.log"))
    # What it says of the running one: libvirt works it out anew.
    for backing in root.findall("devices/disk/backingStore/.."):
        for each in backing.findall("backingStore"):
            backing.remove(each)
    return ET.tostring(root, encoding="unicode")


class Libvirt:
    """Our libvirtd, asked without Nova.

    :param folder: for disks and descriptions, which libvirtd can read.
    """

    def __init__(self, socket: Path, *, folder: Path) -> None:
        self._virsh = ["virsh", "-q", "-c", f"qemu+unix:///system?socket={socket}"]
        self._folder = folder

    def like(self, server: str) -> tuple[str, Path]:
        """The description of a server's domain, and a copy of its disk."""
        description = self._ask("dumpxml", server)
        source = ET.fromstring(description).find("devices/disk[@device='disk']/source")
        assert source is not None
        files.make_directory(self._folder)
        disk = self._folder / "disk"
        shutil.copyfile(source.attrib["file"], disk)
        return description, disk

    def starts(self, description: str, disk: Path, *, count: int) -> list[float]:
        """Seconds that define and start took, one after the other."""
        took = []
        for number in range(count):
            name, file = f"{PREFIX}-{number}", self._folder / f"{number}.xml"
            own = self._folder / f"disk-{number}"
            shutil.copyfile(disk, own)
            file.write_text(alike(description, name=name, uuid=str(uuid4()), disk=own, folder=self._folder))
            began = time.monotonic()
            self._ask("define", str(file))
            self._ask("start", name)
            took.append(time.monotonic() - began)
            self._ask("destroy", name)
            self._ask("undefine", name)
        return took

    def clear(self) -> None:
        """Remove what an interrupted run has left."""
        for name in self._ask("list", "--all", "--name").split():
            if name.startswith(PREFIX):
                run.run([*self._virsh, "destroy", name], check=False)
                self._ask("undefine", name)
        shutil.rmtree(self._folder, ignore_errors=True)

    def _ask(self, *words: str) -> str:
        return run.run([*self._virsh, *words], seconds=120).out


def measure(
    libvirt: Libvirt, description: str, disk: Path, *, servers: int, say: Callable[[str], None]
) -> dict[str, Any]:
    """The floor, of domains like one that Nova made."""
    libvirt.starts(description, disk, count=1)
    found = phases.spread(libvirt.starts(description, disk, count=servers))
    assert found is not None
    say(f"virsh define and start: {found['median']:.2f} s")
    return {"one": {"count": servers, "started": found}}
