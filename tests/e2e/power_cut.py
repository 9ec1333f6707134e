# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""What a power cut and a boot do to a cloud: whatever the kernel holds of it is gone, and so is /run."""

import shutil
import subprocess
from pathlib import Path

from tests.e2e.cloud import Cloud

from novadocker.host import cgroups, mounts, state


def cut(cloud: Cloud) -> None:
    """Kill all at once, and wipe what no disk holds."""
    layout = state.Layout(root=cloud.root, run=cloud.run_dir)
    memory = state.recall(layout)
    interfaces = _interfaces(cloud)
    mounted = cgroups.hierarchies()
    cgroups.kill(mounted, name=cloud.name)
    cgroups.remove(mounted, name=cloud.name)
    for name in interfaces:
        subprocess.run(["ip", "link", "delete", name], check=False, capture_output=True)
    mounts.unmount_below(cloud.run_dir)
    mounts.unmount_below(cloud.root)
    mounts.detach_loops(cloud.root)
    _forget_rules(cloud.name)
    Path("/proc/sys/net/ipv4/ip_forward").write_text(memory.forwarding_before)
    for folder in [cloud.run_dir, *memory.outside()]:
        if folder.is_relative_to("/run") and folder.is_dir():
            mounts.unmount_below(folder)
            shutil.rmtree(folder)


def _interfaces(cloud: Cloud) -> list[str]:
    """The cloud's interfaces: ports and bridges of its switch, and the driver's own."""
    vsctl = ["ovs-vsctl", f"--db=unix:{cloud.run_dir}/ovs/db.sock"]
    ports = subprocess.run(
        [*vsctl, "--bare", "--columns=name", "find", "Interface", "type!=patch"],
        check=True, capture_output=True, text=True,
    ).stdout.split()  # fmt: skip
    found = [path.parent.name for path in Path("/sys/class/net").glob("*/ifalias")
             if path.read_text().startswith("nova-docker:")]  # fmt: skip
    return [name for name in {*ports, *found, "ovs-netdev"} if Path("/sys/class/net", name).exists()]


def _forget_rules(name: str) -> None:
    for table in ("nat", "filter"):
        listed = subprocess.run(["iptables", "-t", table, "-S"], check=True, capture_output=True, text=True)
        for line in listed.stdout.splitlines():
            if f"nova-docker:{name}" in line:
                words = line.replace('"', "").split()[1:]
                subprocess.run(["iptables", "-w", "-t", table, "-D", *words], check=True)
