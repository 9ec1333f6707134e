# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""Whether KVM works: told by starting something, since the device file can exist and be of no use.

Seen: a device in a guest whose processor shows neither vmx nor svm. A boot sector got to its end there, a
kernel hung at its first step into protected mode, and `-cpu host` failed on a register at once.
"""

import tempfile
from pathlib import Path

from novadocker import run

DEVICE = Path("/dev/kvm")
# A boot sector in 16-bit code: mov dx,0xf4; mov al,0x10; out dx,al; hlt. QEMU's isa-debug-exit device ends
# the process with (value << 1) | 1 when it is written to.
_BOOT_SECTOR = bytes.fromhex("baf400b010eef4").ljust(510, b"\0") + b"\x55\xaa"
_EXPECTED = (0x10 << 1) | 1


def usable(*, seconds: float = 8) -> bool:
    """Whether the processor can and a machine of one sector with the host's own processor gets to its end."""
    if not {"vmx", "svm"} & set(_processor_flags()):
        return False
    if not DEVICE.exists() or not run.found("qemu-system-x86_64"):
        return False
    with tempfile.NamedTemporaryFile(suffix=".img") as image:
        image.write(_BOOT_SECTOR)
        image.flush()
        command = [
            "qemu-system-x86_64",
            "-accel",
            "kvm",
            "-cpu",
            "host",
            "-m",
            "16",
            "-nodefaults",
            "-display",
            "none",
            "-no-reboot",
            "-device",
            "isa-debug-exit,iobase=0xf4,iosize=0x04",
            "-drive",
            f"file={image.name},format=raw,if=ide",
        ]
        try:
            return run.run(command, check=False, seconds=seconds).code == _EXPECTED
        except run.CommandFailed:
            return False


def _processor_flags() -> list[str]:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("flags"):
            return line.split()
    return []
