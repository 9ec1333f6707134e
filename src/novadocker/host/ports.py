# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""Which TCP port each server listens on."""

import socket
from collections.abc import Set

import psutil

from novadocker.errors import NovaDockerError


def choose(
    usual: dict[str, int],
    *,
    remembered: dict[str, int],
    wanted: dict[str, int] | None = None,
    ours: Set[int] = frozenset(),
) -> dict[str, int]:
    """Take what is wanted, keep what is remembered; else take the usual port, or the next free one.

    :param wanted: ports the user named: these and no others.
    :param ours: ports the cloud's own processes listen on now.
    :raises NovaDockerError: if there is none, or a wanted one is taken.
    """
    chosen = {
        name: remembered[name]
        for name in usual
        if name in remembered and (remembered[name] in ours or _free(remembered[name]))
    }
    for name, port in (wanted or {}).items():
        if port not in ours and not _free(port):
            raise NovaDockerError(
                f"Port {port} for {name} is taken by another program.",
                hint=f"Name another under [ports]; `ss -ltnp 'sport = {port}'` shows whose it is.",
            )
        chosen[name] = port
    # What is kept was chosen first: a wanted port may have been another server's.
    named = wanted or {}
    chosen = {name: port for name, port in chosen.items() if name in named or port not in named.values()}
    for name, port in usual.items():
        if name in chosen:
            continue
        others = {*chosen.values(), *(other for owner, other in usual.items() if owner != name)}
        chosen[name] = next((each for each in range(port, 65536) if each not in others and _free(each)), 0)
        if not chosen[name]:
            raise NovaDockerError(f"There is no free port for {name}.", facts=f"tried {port} to 65535")
    return chosen


def listened_on(pids: Set[int]) -> set[int]:
    """The TCP ports these processes listen on."""
    listening = (each for each in psutil.net_connections(kind="tcp") if each.status == psutil.CONN_LISTEN)
    return {each.laddr.port for each in listening if each.pid in pids and each.laddr}


def _free(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            # All addresses: a server on any of them may hold the port on loopback too.
            probe.bind(("0.0.0.0", port))
        except OSError:
            return False
    return True
