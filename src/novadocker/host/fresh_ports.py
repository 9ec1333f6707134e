# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""libvirt's hook at a VM's end: its ports are made anew, for the taps of its next start.

The userspace datapath reads a tap by a socket that is bound to the device it was when its port was made. A
soft reboot starts the domain again, with a new tap of the old name, and nobody plugs: nothing the guest sent
arrived (seen with 3.1). A port that libvirt itself made goes and comes with the tap; with ML2/OVS they are
os-vif's.
"""

import sys
from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree

from novadocker import run

# Where a port is on no network until the agent has seen it, as os-vif leaves it (vif_plug_ovs, DEAD_VLAN).
_NOWHERE = ("tag=4095", "vlan_mode=trunk", "trunks=4095")
_KEPT = ("external_ids", "mtu_request")


def taps(domain: str) -> list[str]:
    """Names of the taps that libvirt makes for this domain and somebody else plugs; `domain` is its XML."""
    interfaces = ElementTree.fromstring(domain).iterfind("./devices/interface[@type='ethernet']/target")
    return [name for each in interfaces if (name := each.get("dev"))]


def make_anew(tap: str, *, socket: Path) -> bool:
    """Replace the port of a tap that has gone by one that is the same and on no network yet.

    :param socket: the switch's database.
    :returns: whether there was a port.
    :raises CommandFailed: if the switch does not take it.
    """
    vsctl = ("ovs-vsctl", f"--db=unix:{socket}", "--timeout=10")
    bridge = run.run((*vsctl, "port-to-br", tap), check=False)
    if bridge.code:
        return False  # unplugged meanwhile
    was = run.run((*vsctl, "get", "Interface", tap, *_KEPT)).out.splitlines()
    kept = [f"{column}={value}" for column, value in zip(_KEPT, was, strict=True)]
    run.run((*vsctl, "del-port", tap))
    # Not waited for: the switch opens a tap when it comes, and says until then that there is none.
    run.run(
        (
            *vsctl,
            "--no-wait",
            "add-port",
            bridge.out.strip(),
            tap,
            *_NOWHERE,
            "--",
            "set",
            "Interface",
            tap,
            *kept,
        )
    )
    return True


def main(words: Sequence[str]) -> None:
    """Called by the hook's script with the switch's database; the domain's XML is on standard input."""
    for tap in taps(sys.stdin.read()):
        make_anew(tap, socket=Path(words[0]))


if __name__ == "__main__":
    main(sys.argv[1:])
