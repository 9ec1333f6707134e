# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""Which TCP port each server listens on."""

import socket


def choose(usual: dict[str, int], *, remembered: dict[str, int]) -> dict[str, int]:
    """Keep what is remembered; for the rest the usual port, or the next free one that is nobody else's."""
    chosen = {name: remembered[name] for name in usual if name in remembered}
    for name, port in usual.items():
        if name in chosen:
            continue
        while port in chosen.values() or not _free(port):
            port += 1
        chosen[name] = port
    return chosen


def _free(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            # All addresses: a server on any of them may hold the port on loopback too.
            probe.bind(("0.0.0.0", port))
        except OSError:
            return False
    return True
