# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""The userspace datapath's own tap, out of the way of every other switch on this machine.

Open vSwitch makes it under a fixed name, never looks for it by that name again, and cannot make its datapath
while another process holds a tap of that name: so ours gets another name as soon as it is there. A switch
that could not make its datapath meanwhile tries again by itself when an interface changes (seen with 3.1).
"""

import os
import select
import socket
import sys
from collections.abc import Sequence
from pathlib import Path

from novadocker.host import links

FIXED_NAME = "ovs-netdev"
# Its changes are told, but the first of them before the switch holds it.
_LOOK_AGAIN = 1.0


def is_made(pid: int, *, place: Path = Path("/proc")) -> bool:
    """Whether the switch `pid` has its datapath: it holds the tap of the fixed name, and a bridge's too.

    The bridges' come when the datapath is done; while it is being made, its tap is still asked for by name.
    """
    taps = set()
    try:
        for file in (place / str(pid) / "fdinfo").iterdir():
            taps |= _taps(file)
    except OSError:
        return False
    return FIXED_NAME in taps and len(taps) > 1


def _taps(file: Path) -> set[str]:
    """What an open file says of a tap it stands for (drivers/net/tun.c, tun_chr_show_fdinfo)."""
    try:
        words = [line.split() for line in file.read_text().splitlines()]
    except OSError:
        return set()  # closed meanwhile
    return {line[1] for line in words if len(line) == 2 and line[0] == "iff:"}


def rename_when_made(tap: str, *, pid: int) -> bool:
    """Wait until the switch `pid` has made its datapath, and call its tap `tap`; False if it ended before."""
    try:
        switch = os.pidfd_open(pid)
    except ProcessLookupError:
        return False
    try:
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW) as news:
            news.bind((0, 1))  # RTMGRP_LINK
            while True:
                if is_made(pid) and links.rename(FIXED_NAME, tap):
                    return True
                ready, _, _ = select.select([switch, news.fileno()], [], [], _LOOK_AGAIN)
                if switch in ready:
                    return False
                if ready:
                    news.recv(65536)
    finally:
        os.close(switch)


def main(words: Sequence[str]) -> None:
    """Run beside a switch that is about to start: the tap's name to be, the switch's pid."""
    tap, pid = words
    rename_when_made(tap, pid=int(pid))


if __name__ == "__main__":
    main(sys.argv[1:])
