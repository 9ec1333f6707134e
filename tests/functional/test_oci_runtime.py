# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""The file that dockerd runs is a shell's and Python's program at once."""

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from novadocker import oci_runtime
from novadocker.virt.docker.gates import Gates
from novadocker.virt.docker.identities import Identities
from novadocker.virt.docker.pins import KernelNamespaces

pytestmark = pytest.mark.functional

WORDS = ["--log", "a b", "start", "f00d"]


class Runtime:
    """The program, its folder of gates, and a runc that prints its words."""

    def __init__(self, folder: Path) -> None:
        self.program, self.gates, runc = folder / "runtime", folder / "it's gates", folder / "bin" / "runc"
        self.namespaces = folder / "it's namespaces"
        self.program.write_text(oci_runtime.program(gates=str(self.gates), namespaces=str(self.namespaces)))
        self.sandboxes = folder / "sandbox-runtime"
        self.sandboxes.write_text(oci_runtime.sandbox_program())
        runc.parent.mkdir()
        runc.write_text('#!/bin/sh\nprintf "%s|" "$@"\n')
        for each in (self.program, self.sandboxes, runc):
            each.chmod(0o755)
        self._path = f"{runc.parent}:{os.environ['PATH']}"

    def begin(self, words: list[str]) -> "subprocess.Popen[Any]":
        return subprocess.Popen(
            [self.program, *words],
            env={"PATH": self._path},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, words: list[str]) -> str:
        begun = self.begin(words)
        said, errors = begun.communicate(timeout=20)
        assert begun.returncode == 0, errors
        return str(said)


@pytest.fixture
def runtime(tmp_path: Path) -> Runtime:
    return Runtime(tmp_path)


@pytest.mark.parametrize(
    ("step", "through"), [("create", True), ("run", True), ("start", False), ("state", False)]
)
def test_only_a_creation_goes_through_python(runtime: Runtime, step: str, through: bool) -> None:
    bundle = runtime.program.with_name("bundle")
    bundle.mkdir()
    (bundle / "config.json").write_text(json.dumps({"linux": {}}))
    words = ["--log", "a b", step, "--bundle", str(bundle), "f00d"]
    assert runtime.run(words) == "|".join(words) + "|"
    assert ("ioctl" in (bundle / "config.json").read_text()) is through


def create(runtime: Runtime, namespaces: list[dict[str, str]]) -> tuple[list[str], Path]:
    """Return the words of a creation, and the file that says what is created."""
    bundle = runtime.program.with_name("bundle")
    bundle.mkdir()
    config = bundle / "config.json"
    config.write_text(json.dumps({"linux": {"namespaces": namespaces}}))
    log = runtime.program.with_name("log.json")
    return ["--log", str(log), "create", "--bundle", str(bundle), "f00d"], config


@pytest.fixture
def kept(runtime: Runtime) -> Iterator[Path]:
    """A server's folder, which a container of the id f00d belongs to."""
    place = runtime.namespaces / "host" / "server"
    place.mkdir(parents=True)
    (runtime.namespaces / "f00d").symlink_to("host/server")
    yield place
    KernelNamespaces().remove(place)


DOCKERS = [{"type": "pid"}, {"type": "network"}, {"type": "user"}]
USERS = Identities(users=((0, 200000, 65536),), groups=((0, 200000, 65536),))


def test_a_container_of_nobody_s_has_docker_s_namespaces(runtime: Runtime) -> None:
    words, config = create(runtime, DOCKERS)
    runtime.run(words)
    assert json.loads(config.read_text())["linux"]["namespaces"] == DOCKERS


@pytest.mark.parametrize("asked", [DOCKERS, DOCKERS[:2]])
def test_a_container_enters_its_server_s_namespaces(
    runtime: Runtime, kept: Path, asked: list[dict[str, str]]
) -> None:
    KernelNamespaces().make(kept, users=USERS)
    words, config = create(runtime, asked)
    runtime.run(words)
    link = runtime.namespaces / "f00d"
    paths = {"network": {"path": f"{link}/net"}, "user": {"path": f"{link}/user"}}
    assert json.loads(config.read_text())["linux"]["namespaces"] == [
        each | paths.get(each["type"], {}) for each in asked
    ]


def _nothing(place: Path) -> None:
    place.rmdir()


def _rebooted(place: Path) -> None:
    for name in ("net", "user"):
        (place / name).touch()


def _without_users(place: Path) -> None:
    KernelNamespaces().make(place, users=None)


def _the_host_s(place: Path) -> None:
    for name in ("net", "user"):
        (place / name).symlink_to(f"/proc/self/ns/{name}")


@pytest.mark.parametrize("how", [_nothing, _rebooted, _without_users, _the_host_s])
def test_a_container_without_its_server_s_namespaces_is_not_created(
    runtime: Runtime, kept: Path, how: Callable[[Path], None]
) -> None:
    """With users of its own it would not be: root inside would be the host's."""
    how(kept)
    words, _ = create(runtime, DOCKERS)
    refused = runtime.begin(words)
    said, errors = refused.communicate(timeout=20)
    assert (refused.returncode, said) == (1, "")
    # Where containerd finds runc's reasons.
    assert "namespace now" in json.loads(Path(words[1]).read_text())["msg"]
    assert "namespace now" in errors


def test_it_is_told_which_folder_it_looks_into(runtime: Runtime) -> None:
    program = runtime.program.read_text()
    assert oci_runtime.looks_into(program, namespaces=str(runtime.namespaces))
    assert not oci_runtime.looks_into(program, namespaces=str(runtime.gates))
    assert not oci_runtime.looks_into("#!/bin/sh\nexec runc\n", namespaces=str(runtime.namespaces))


def test_a_start_waits_for_its_gate_and_no_other_does(runtime: Runtime) -> None:
    gates = Gates(runtime.gates)
    gates.prepare()
    with gates.shut("f00d") as gate:
        waiting = runtime.begin(WORDS)
        assert runtime.run(["start", "another"]) == "start|another|"
        assert runtime.run(["state", "f00d"]) == "state|f00d|"
        assert waiting.poll() is None
        gate.open()
        assert waiting.communicate(timeout=20)[0] == "|".join(WORDS) + "|"
    assert runtime.run(WORDS) == "|".join(WORDS) + "|"


def test_a_start_whose_gate_is_not_opened_fails(runtime: Runtime) -> None:
    gates = Gates(runtime.gates)
    gates.prepare()
    with gates.shut("f00d") as gate:
        waiting = runtime.begin(WORDS)
        gate.close()
        said, errors = waiting.communicate(timeout=20)
    # What runc has made ready by then goes.
    assert (waiting.returncode, said) == (1, "--log|a b|kill|f00d|KILL|")
    assert "did not open" in errors


def test_a_start_does_not_wait_for_who_has_died(runtime: Runtime) -> None:
    runtime.gates.mkdir()
    holder = subprocess.Popen(["flock", runtime.gates / "f00d", "sleep", "100"], start_new_session=True)
    while not (runtime.gates / "f00d").exists():
        assert holder.poll() is None
    waiting = runtime.begin(WORDS)
    os.killpg(holder.pid, 9)
    holder.wait()
    assert "kill" in waiting.communicate(timeout=20)[0]
    assert waiting.returncode == 1
    Gates(runtime.gates).prepare()
    assert runtime.run(WORDS) == "|".join(WORDS) + "|"


def test_a_sandbox_is_created_without_a_keyring(runtime: Runtime) -> None:
    runtime.program = runtime.sandboxes
    assert runtime.run(["--log", "a b", "create", "f00d"]) == "--log|a b|create|--no-new-keyring|f00d|"
    assert runtime.run(WORDS) == "|".join(WORDS) + "|"
