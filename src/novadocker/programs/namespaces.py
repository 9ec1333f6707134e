# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""How a process opens a netlink socket in another network namespace: by a thread of its own.

pyroute2 has a child do it, which is forked and ended for each socket. Neutron's agents open some ten for a
port, and each time all of their memory is prepared to be copied: a tenth of a second of processor time. A
namespace is a thread's, not a process' (setns(2)): a thread enters it, opens the socket, and ends.
"""

import os
import socket
import threading
from typing import Any

from pyroute2 import netns as namespaces


def install() -> None:
    """Have pyroute2's sockets opened that way, where the namespace is there already."""
    theirs = namespaces.create_socket

    def create_socket(
        netns: Any = None,
        family: int = socket.AF_INET,
        socket_type: int = socket.SOCK_STREAM,
        proto: int = 0,
        fileno: int | None = None,
        flags: int = os.O_CREAT,
        **rest: Any,
    ) -> Any:
        opened: list[socket.socket] = []
        if netns is not None and fileno is None and not flags & os.O_EXCL:
            entering = threading.Thread(target=_open, args=(opened, netns, family, socket_type, proto))
            entering.start()
            entering.join()
        # What could not be entered is made, or refused with the reason.
        return opened[0] if opened else theirs(netns, family, socket_type, proto, fileno, flags, **rest)

    namespaces.create_socket = create_socket


def _open(opened: list[socket.socket], netns: Any, family: int, socket_type: int, proto: int) -> None:
    try:
        namespaces.setns(netns, flags=0, fork=False)
    except OSError:
        return
    opened.append(socket.socket(family, socket_type, proto))
