# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""A second machine beside the cloud's, for a while, and the cable between their switches for tunnels."""

import contextlib
import subprocess
from collections.abc import Callable, Iterator
from typing import Protocol, TypeVar

from novadocker.host import links
from novadocker.host.services.model import Cloud

# The switches' own addresses at its two ends, and what it is plugged into.
FIRST_END, SECOND_END, UNDERLAY = "ndk-cable1", "ndk-cable2", "ndk-under"
FIRST_ADDRESS, SECOND_ADDRESS = "10.255.255.1", "10.255.255.2"


class Machine(Protocol):
    """A second machine, which comes and goes."""

    def come(self) -> None: ...

    def go(self) -> None: ...

    def last_words(self) -> str: ...


Second = TypeVar("Second", bound=Machine)


@contextlib.contextmanager
def for_a_while(machine: Second) -> Iterator[Second]:
    """A machine that is gone afterwards; where it does not come, its last words say why."""
    try:
        try:
            machine.come()
        except Exception as error:
            error.add_note(machine.last_words())
            raise
        yield machine
    finally:
        machine.go()


def lay(
    first: Cloud, *, pid: int, vsctl: list[str], enter: Callable[..., None], undo: contextlib.ExitStack
) -> None:
    """Join the two switches, and have the first one's tunnels end at the cable.

    :param pid: a process of the second machine; `enter` runs a command there.
    :param vsctl: how the second switch is spoken to.
    """
    subprocess.run(
        ["ip", "link", "add", FIRST_END, "type", "veth", "peer", "name", SECOND_END, "netns", str(pid)],
        check=True,
    )
    ours = ["ovs-vsctl", f"--db=unix:{first.layout.ovs_socket}"]
    ends_now = subprocess.run(
        [*ours, "get", "open", ".", "external_ids:ovn-encap-ip"], check=True, capture_output=True, text=True
    ).stdout.strip()
    undo.callback(subprocess.run, ["ip", "link", "del", FIRST_END], check=False)
    undo.callback(subprocess.run, [*ours, "--if-exists", "del-br", UNDERLAY], check=True)
    undo.callback(
        subprocess.run, [*ours, "set", "open", ".", f"external_ids:ovn-encap-ip={ends_now}"], check=True
    )
    subprocess.run([*ours, *_plug(FIRST_END, datapath=first.datapath)], check=True)
    subprocess.run(["ip", "link", "set", FIRST_END, "up"], check=True)
    links.give_address(UNDERLAY, address=FIRST_ADDRESS, prefix=30, mtu=1500)
    subprocess.run([*ours, "set", "open", ".", f"external_ids:ovn-encap-ip={FIRST_ADDRESS}"], check=True)

    enter(*vsctl, *_plug(SECOND_END, datapath=first.datapath))
    enter("ip", "link", "set", SECOND_END, "up")
    enter("ip", "address", "add", f"{SECOND_ADDRESS}/30", "dev", UNDERLAY)
    enter("ip", "link", "set", UNDERLAY, "up")


def describe_chassis(*, name: str, remote: str, bridge: str, datapath: str) -> list[str]:
    """What `ovs-vsctl` is told for a chassis without a way out: routers stay on the first host."""
    names = {
        "system-id": name,
        "hostname": name,
        "ovn-remote": remote,
        "ovn-encap-type": "geneve",
        "ovn-encap-ip": SECOND_ADDRESS,
        "ovn-bridge": bridge,
        "ovn-bridge-datapath-type": datapath,
    }
    return [
        "set", "open", ".", *(f'external_ids:{key}="{value}"' for key, value in names.items()),
        "--", "add-br", bridge,
        "--", "set", "bridge", bridge, f"datapath_type={datapath}", "fail_mode=secure",
    ]  # fmt: skip


def _plug(end: str, *, datapath: str) -> list[str]:
    return [
        "--may-exist", "add-br", UNDERLAY, "--", "set", "bridge", UNDERLAY, f"datapath_type={datapath}",
        "--", "add-port", UNDERLAY, end,
    ]  # fmt: skip
