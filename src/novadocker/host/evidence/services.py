# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""How the OpenStack services that run here, ours or somebody else's, are configured."""

import socket
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

# Options by section; nothing else is read: the files hold passwords.
_WANTED = {
    "DEFAULT": (
        "host", "state_path", "compute_driver", "vif_plugging_is_fatal", "vif_plugging_timeout",
        "notify_nova_on_port_status_changes", "send_events_interval",
    ),
    "os_vif_ovs": ("ovsdb_connection",),
    "vif_plug_ovs_privileged": ("helper_command",),
    "filter_scheduler": ("enabled_filters",),
    "ml2": ("mechanism_drivers",),
    "ovs": ("integration_bridge", "local_ip", "bridge_mappings"),
    "docker": ("host", "binding_host", "network_backend"),
}  # fmt: skip
_NEUTRON = ("neutron-server", "neutron-api")
_PROGRAMS = ("nova-compute", "neutron-openvswitch-agent", "nova-scheduler", *_NEUTRON)
# os-vif's default, where a stock Open vSwitch does not listen (vif_plug_ovs/ovs.py).
_USUAL_DATABASE = "tcp:127.0.0.1:6640"


def configured(processes: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """For each nova-compute and Open vSwitch agent: its files, its options, its compute_id files."""
    found = []
    for process in processes:
        if process["program"] not in _PROGRAMS:
            continue
        files = _files(
            process["words"], program=process["program"], environment=process.get("environment", {})
        )
        options = merged(files)
        folders = [path.parent for path in files]
        if options.get("DEFAULT.state_path"):
            folders.append(Path(options["DEFAULT.state_path"]))
        ids = {}
        for folder in dict.fromkeys(folders):
            path = folder / "compute_id"
            if path.is_file():
                ids[str(path)] = path.read_text().strip()
        found.append(
            {
                "pid": process["pid"],
                "program": process["program"],
                "unit": process["unit"],
                "files": [str(path) for path in files],
                "options": options,
                "compute_ids": ids if process["program"] == "nova-compute" else {},
                **_more(process, options),
            }
        )
    return found


def _more(process: Mapping[str, Any], options: Mapping[str, str]) -> dict[str, Any]:
    if process["program"] == "nova-compute":
        connection = options.get("os_vif_ovs.ovsdb_connection", _USUAL_DATABASE)
        return {"database": {"connection": connection, "answers": answers(connection)}}
    if process["program"] in _NEUTRON:
        served, environment = process["program"] == "neutron-api", process.get("environment", {})
        first = Path(process["words"][0]).name if process["words"] else ""
        return {
            "wsgi": first if served else "",
            # None where the process shows no environment.
            "workers": environment.get("ASGI_WORKERS", "") if environment else None,
        }
    return {}


def answers(connection: str) -> bool:
    """Say whether somebody listens where an OVSDB connection leads, as `tcp:127.0.0.1:6640` or `unix:/…`."""
    kind, _, place = connection.partition(":")
    family = socket.AF_UNIX if kind == "unix" else socket.AF_INET6 if "[" in place else socket.AF_INET
    with socket.socket(family) as client:
        client.settimeout(2)
        try:
            if kind == "unix":
                client.connect(place)
            else:
                host, _, port = place.rpartition(":")
                client.connect((host.strip("[]"), int(port)))
        except (OSError, ValueError):
            return False
    return True


def _files(words: list[str], *, program: str, environment: Mapping[str, str]) -> list[Path]:
    """The files a service was started with, in their order; without any, where oslo.config looks itself."""
    if "OS_NEUTRON_CONFIG_FILES" in environment and program in _NEUTRON:
        folder = Path(environment.get("OS_NEUTRON_CONFIG_DIR", "/etc/neutron"))
        return [folder / name for name in environment["OS_NEUTRON_CONFIG_FILES"].split(";")]
    named: list[Path] = []
    for index, word in enumerate(words):
        option, _, value = word.partition("=")
        if option in ("--config-file", "--config-dir"):
            value = value or (words[index + 1] if index + 1 < len(words) else "")
            path = Path(value)
            named += sorted(path.glob("*.conf")) if option == "--config-dir" else [path]
    if named:
        return named
    project = program.split("-")[0]
    usual = [Path(f"/etc/{project}/{project}.conf")]
    if program in _NEUTRON:
        usual.append(Path("/etc/neutron/plugins/ml2/ml2_conf.ini"))
    elif program == "neutron-openvswitch-agent":
        usual.append(Path("/etc/neutron/plugins/ml2/openvswitch_agent.ini"))
    return [path for path in usual if path.is_file()]


def merged(files: Iterable[Path]) -> dict[str, str]:
    """The options that matter of several files, the later ones winning, as oslo.config reads them."""
    options: dict[str, str] = {}
    for path in files:
        section = ""
        try:
            lines = path.read_text(errors="replace").splitlines()
        except OSError:
            continue
        for line in lines:
            text = line.strip()
            if text.startswith("[") and text.endswith("]"):
                section = text[1:-1]
            elif "=" in text and not text.startswith(("#", ";")):
                name, _, value = text.partition("=")
                if name.strip() in _WANTED.get(section, ()):
                    options[f"{section}.{name.strip()}"] = value.strip()
    return options
