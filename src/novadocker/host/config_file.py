# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""The optional TOML file in which a user says how the cloud is to differ from the defaults."""

import difflib
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from novadocker.errors import NovaDockerError
from novadocker.host import one_agent
from novadocker.host.config import USUAL_PORTS, HostConfig, problems

FOLDER = Path("/etc/nova-docker")


@dataclass(frozen=True, kw_only=True)
class Key:
    """One key of the file.

    :ivar field: the field of `HostConfig` it sets.
    :ivar kind: the type TOML must have given it.
    :ivar help: one sentence for the reference.
    """

    field: str
    kind: type
    help: str


KEYS: Mapping[str, Key] = {
    "cloud.region": Key(field="region", kind=str, help="The region's name in the service catalogue."),
    "clients.devstack": Key(
        field="devstack",
        kind=bool,
        help="Whether clouds.yaml also has `devstack`, `devstack-admin`, `devstack-alt` (project and user "
        "`alt_demo`) and `devstack-system-admin`, which suites made for DevStack look for.",
    ),
    "network.backend": Key(
        field="network_backend",
        kind=str,
        help="Who makes ports work: `ovn`, or `ovs`, Neutron's Open vSwitch, L3, DHCP and metadata agents.",
    ),
    "network.external_cidr": Key(
        field="external_cidr",
        kind=str,
        help="Floating IPs; the host has the first address of it. Moved on where it is taken.",
    ),
    "network.private_cidr": Key(field="private_cidr", kind=str, help="The demo project's own network."),
    "network.integration_bridge": Key(
        field="integration_bridge", kind=str, help="The bridge servers' ports are on."
    ),
    "network.external_bridge": Key(
        field="external_bridge", kind=str, help="The bridge between the external network and the host."
    ),
    "network.tunnel_bridge": Key(
        field="tunnel_bridge", kind=str, help="The bridge of tunnels to other hosts, with `ovs`."
    ),
    "capacity.percent": Key(
        field="capacity_percent",
        kind=int,
        help="How much of the machine's processors, memory and free disk servers may have, in percent.",
    ),
}


def place(name: str) -> Path:
    """Where the file of a cloud is looked for if none is named."""
    return FOLDER / f"{name}.toml"


def read(path: Path, *, onto: HostConfig) -> HostConfig:
    """Return `onto` with what the file says.

    :raises NovaDockerError: with a line for every problem: not TOML, an unknown key, a wrong type, or values
        that cannot work together (see `config.problems`).
    """
    try:
        table = tomllib.loads(path.read_text())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise NovaDockerError(f"{path} is not TOML.", facts=str(error)) from error
    except OSError as error:
        raise NovaDockerError(f"{path} cannot be read.", facts=error.strerror or str(error)) from error
    wrong: list[str] = []
    chosen = _plain(table, wrong)
    result = replace(
        onto,
        **chosen,
        wanted=frozenset(chosen),
        wanted_ports=_ports(table.get("ports", {}), wrong),
        options=_options(table.get("options", {}), wrong),
    )
    wrong += [f"{path}: {one_agent.WHY}" for path in one_agent.asked_by_options(result.options)]
    keys = {key.field: name for name, key in KEYS.items()}
    for problem in problems(result):
        field, _, words = problem.partition(":")
        wrong.append(f"{keys.get(field, field)}:{words}")
    if wrong:
        raise NovaDockerError(
            f"{path} has {len(wrong)} problem{'s' if len(wrong) > 1 else ''}.",
            facts="\n".join(wrong),
            hint="docs/reference/configuration.md lists the keys.",
        )
    return result


def _plain(table: Mapping[str, Any], wrong: list[str]) -> dict[str, Any]:
    chosen = {}
    for section, entries in table.items():
        if section in ("ports", "options"):
            continue
        if not isinstance(entries, dict):
            wrong.append(f"{section}: {_unknown(section, [*KEYS, 'ports', 'options'])}")
            continue
        for entry, value in entries.items():
            name = f"{section}.{entry}"
            key = KEYS.get(name)
            if key is None and one_agent.asked_by_key(name):
                wrong.append(f"{name}: {one_agent.WHY}")
            elif key is None:
                wrong.append(f"{name}: {_unknown(name, KEYS)}")
            elif not isinstance(value, key.kind) or (isinstance(value, bool) and key.kind is not bool):
                wrong.append(f"{name}: {_NAMES[key.kind]}; got {value!r}")
            else:
                chosen[key.field] = value
    return chosen


def _ports(entries: Any, wrong: list[str]) -> dict[str, int]:
    if not isinstance(entries, dict):
        wrong.append(f"ports: a table of service = port; got {entries!r}")
        return {}
    chosen = {}
    for name, port in entries.items():
        if name not in USUAL_PORTS:
            wrong.append(f"ports.{name}: {_unknown(name, USUAL_PORTS)}")
        elif not isinstance(port, int) or isinstance(port, bool) or not 1 <= port <= 65535:
            wrong.append(f"ports.{name}: a number from 1 to 65535; got {port!r}")
        else:
            chosen[name] = port
    return chosen


def _options(entries: Any, wrong: list[str]) -> dict[str, dict[str, dict[str, str]]]:
    """The free options: file, section, option, as text that oslo.config reads."""
    chosen: dict[str, dict[str, dict[str, str]]] = {}

    def each(where: str, value: Any, then: Callable[[str, Any], None]) -> None:
        if not isinstance(value, dict):
            wrong.append(f"{where}: a table; got {value!r}")
            return
        for name, inner in value.items():
            then(name, inner)

    def file(name: str, sections: Any) -> None:
        def section(title: str, pairs: Any) -> None:
            def pair(option: str, value: Any) -> None:
                where = f"options.{name}.{title}.{option}"
                text = _text(value)
                if text is None or "\n" in text:
                    wrong.append(f"{where}: text, a number, a boolean or a list of those, on one line")
                else:
                    chosen.setdefault(name, {}).setdefault(title, {})[option] = text

            each(f"options.{name}.{title}", pairs, pair)

        each(f"options.{name}", sections, section)

    each("options", entries, file)
    return chosen


def _text(value: Any) -> str | None:
    match value:
        case bool():
            return str(value).lower()
        case str() | int() | float():
            return str(value)
        case list():
            words = [_text(one) for one in value]
            return None if None in words else ",".join(word for word in words if word is not None)
    return None


def _unknown(name: str, known: Any) -> str:
    near = difflib.get_close_matches(name, list(known), n=1)
    return f"there is no such key{f'; {near[0]} perhaps?' if near else ''}"


_NAMES = {str: "text", int: "a number", bool: "true or false"}
