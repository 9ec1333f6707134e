# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""The system call filter lets no btrfs subvolume be made, and everything else be done as before."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from novadocker import oci_runtime

CALLS = {"names": ["ioctl", "read", "write"], "action": "SCMP_ACT_ALLOW"}
PERSONALITY = {
    "names": ["personality"],
    "action": "SCMP_ACT_ALLOW",
    "args": [{"index": 0, "value": 8, "op": "SCMP_CMP_EQ"}],
}
DOCKERS = {"defaultAction": "SCMP_ACT_ERRNO", "syscalls": [CALLS, PERSONALITY]}

TCGETS, FIONBIO, FICLONE, TUNSETIFF = 0x5401, 0x5421, 0x40049409, 0x400454CA


def decide(seccomp: dict[str, Any], name: str, command: int) -> str:
    """Return what a filter says of a call: the first rule that speaks of it, as libseccomp has it."""
    for rule in seccomp["syscalls"]:
        conditions = rule.get("args") or []
        if name in rule["names"] and all(
            command & one["value"] == one.get("valueTwo", 0) for one in conditions
        ):
            return rule["action"]
    return seccomp["defaultAction"]


@pytest.mark.parametrize("above", [0, 1 << 32])
@pytest.mark.parametrize("known", [DOCKERS, None, {"defaultAction": "SCMP_ACT_ALLOW"}])
def test_no_subvolume_is_made(known: dict[str, Any] | None, above: int) -> None:
    made = oci_runtime.narrowed(known)
    for command in oci_runtime._SUBVOLUMES:
        assert decide(made, "ioctl", command | above) == "SCMP_ACT_ERRNO"


@pytest.mark.parametrize("command", [TCGETS, FIONBIO, FICLONE, TUNSETIFF, 0])
@pytest.mark.parametrize("known", [DOCKERS, None])
def test_other_commands_go_on(known: dict[str, Any] | None, command: int) -> None:
    assert decide(oci_runtime.narrowed(known), "ioctl", command) == "SCMP_ACT_ALLOW"


def test_what_a_filter_says_of_other_calls_stays() -> None:
    made = oci_runtime.narrowed(DOCKERS)
    assert decide(made, "read", 0) == "SCMP_ACT_ALLOW"
    assert decide(made, "mount", 0) == "SCMP_ACT_ERRNO"
    assert PERSONALITY in made["syscalls"]
    assert CALLS["names"] == ["ioctl", "read", "write"], "what was given is left alone"


def test_a_filter_that_refuses_ioctl_goes_on_doing_so() -> None:
    made = oci_runtime.narrowed({"defaultAction": "SCMP_ACT_ERRNO", "syscalls": [PERSONALITY]})
    assert decide(made, "ioctl", TCGETS) == "SCMP_ACT_ERRNO"


@pytest.mark.parametrize("words", [["--bundle", "{}"], ["--bundle={}"], ["-b", "{}"]])
def test_a_container_is_created_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str]
) -> None:
    ran: list[Any] = []
    monkeypatch.setattr(os, "execvp", lambda *command: ran.append(command))
    (tmp_path / "config.json").write_text(json.dumps({"linux": {"seccomp": DOCKERS}, "root": {}}))
    argv = ["--root", "/run/x", "create", *(word.format(tmp_path) for word in words), "id"]
    oci_runtime.main(argv)
    assert ran == [("runc", ["runc", *argv])]
    written = json.loads((tmp_path / "config.json").read_text())
    assert written == {"linux": {"seccomp": oci_runtime.narrowed(DOCKERS)}, "root": {}}
    assert [one.name for one in tmp_path.iterdir()] == ["config.json"]


def test_other_steps_are_runc_s_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[Any] = []
    monkeypatch.setattr(os, "execvp", lambda *command: ran.append(command))
    oci_runtime.main(["--root", "/run/x", "delete", "id"])
    assert ran == [("runc", ["runc", "--root", "/run/x", "delete", "id"])]
