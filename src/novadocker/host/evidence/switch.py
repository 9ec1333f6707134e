# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""What an Open vSwitch says of itself: its bridges, its ports, who wrote the flows."""

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

from novadocker import run
from novadocker.host.evidence.model import NotSeen

USUAL_SOCKET = Path("/run/openvswitch/db.sock")
_COOKIE = re.compile(r"cookie=(0x[0-9a-f]+)")


def state(socket: Path) -> dict[str, Any]:
    """The chassis' own settings, the bridges with their datapath and ports, and interfaces in error.

    :raises NotSeen: if no switch answers there.
    """
    (chassis,) = _rows(socket, "Open_vSwitch") or [{}]
    ports = {row["_uuid"]: row for row in _rows(socket, "Port")}
    interfaces = {row["_uuid"]: row for row in _rows(socket, "Interface")}
    bridges = []
    for bridge in _rows(socket, "Bridge"):
        held = [ports[each] for each in _several(bridge["ports"]) if each in ports]
        bridges.append(
            {
                "name": bridge["name"],
                "datapath": bridge["datapath_type"],
                "ports": [_port(port, interfaces) for port in held],
            }
        )
    return {
        "socket": str(socket),
        "version": chassis.get("ovs_version", ""),
        "external_ids": chassis.get("external_ids", {}),
        "bridges": bridges,
    }


def _port(port: dict[str, Any], interfaces: dict[str, dict[str, Any]]) -> dict[str, Any]:
    found = [interfaces[each] for each in _several(port["interfaces"]) if each in interfaces]
    first = found[0] if found else {}
    return {
        "name": port["name"],
        "tag": port.get("tag") or None,
        "error": str(first.get("error") or ""),
        "external_ids": first.get("external_ids", {}),
        "other_config": port.get("other_config", {}),
    }


def ports(socket: Path) -> list[str]:
    """The names of all ports, the bridges' own among them.

    :raises NotSeen: if no switch answers there.
    """
    return [str(row["name"]) for row in _rows(socket, "Port", "name")]


def cookies(bridge: str, *, folder: Path) -> dict[str, int]:
    """How many flows of a bridge bear which cookie: an agent marks its own with one of its own.

    The one flow of its extension for quality of service (`set_queue`) has another cookie, and is left out.

    :raises NotSeen: if the bridge does not answer.
    """
    done = run.run(["ovs-ofctl", "dump-flows", f"unix:{folder}/{bridge}.mgmt"], check=False, seconds=20)
    if done.code != 0:
        raise NotSeen(f"{bridge} does not tell its flows: {done.err.strip()[-150:]}")
    flows = [line for line in done.out.splitlines() if "actions=set_queue:" not in line]
    return dict(Counter(_COOKIE.findall("\n".join(flows))))


def _rows(socket: Path, table: str, *columns: str) -> list[dict[str, Any]]:
    if not socket.exists():
        raise NotSeen(f"no Open vSwitch answers at {socket}")
    words = ["ovs-vsctl", f"--db=unix:{socket}", "--no-wait", "--timeout=10", "--format=json"]
    words += [f"--columns={','.join(columns)}"] if columns else []
    try:
        done = run.run([*words, "list", table], check=False, seconds=15)
    except run.CommandFailed as error:
        raise NotSeen(str(error)) from error
    if done.code != 0:
        raise NotSeen(f"Open vSwitch does not answer: {done.err.strip()[-150:]}")
    answer = json.loads(done.out)
    return [dict(zip(answer["headings"], map(_plain, row), strict=True)) for row in answer["data"]]


def _several(value: Any) -> list[Any]:
    # A set of one is written as what is in it.
    return value if isinstance(value, list) else [value]


def _plain(value: Any) -> Any:
    """Undo OVSDB's notation of sets, maps and ids (RFC 7047, section 5.1)."""
    match value:
        case ["set", list(items)]:
            return [_plain(item) for item in items]
        case ["map", list(pairs)]:
            return {key: _plain(item) for key, item in pairs}
        case ["uuid", str(text)]:
            return text
    return value
