# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""How the OpenStack services that run here, ours or somebody else's, are configured."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

# Options by section; nothing else is read: the files hold passwords.
_WANTED = {
    "DEFAULT": ("host", "state_path", "compute_driver", "vif_plugging_is_fatal", "vif_plugging_timeout"),
    "ovs": ("integration_bridge", "local_ip", "bridge_mappings"),
    "docker": ("host", "binding_host", "network_backend"),
}
_PROGRAMS = ("nova-compute", "neutron-openvswitch-agent")


def configured(processes: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """For each nova-compute and Open vSwitch agent: its files, its options, its compute_id files."""
    found = []
    for process in processes:
        if process["program"] not in _PROGRAMS:
            continue
        files = _files(process["words"], program=process["program"])
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
            }
        )
    return found


def _files(words: list[str], *, program: str) -> list[Path]:
    """The files a service was started with, in their order; without any, where oslo.config looks itself."""
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
    usual = [
        Path(f"/etc/{project}/{project}.conf"),
        Path(f"/etc/{project}/plugins/ml2/openvswitch_agent.ini"),
    ]
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
