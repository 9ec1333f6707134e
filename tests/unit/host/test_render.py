# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
import shlex
from dataclasses import replace
from pathlib import Path

import pytest
from tests.fakes import clouds

from novadocker.host import render
from novadocker.host.services.model import ConfigFile, Folder, Running, Service, Tcp

CLOUD = clouds.cloud()
FILE = ConfigFile(path=Path("/etc/x"), content="text", mode=0o600)
SERVICE = Service(
    name="it",
    command=("/usr/bin/it", "a b", "$HOME", "it's"),
    ready=Running(),
    files=(FILE,),
    environment={"WORDS": "one 'two' $three"},
)


def _script(service: Service, group: str = "/cg/nova-docker/it") -> list[str]:
    return render.start_script(CLOUD, service, group=group).content.splitlines()


def _fingerprint(service: Service) -> str:
    return render.fingerprint(service, render.start_script(CLOUD, service, group="/cg/nova-docker/it"))


def test_the_script_is_roots():
    file = render.start_script(CLOUD, SERVICE, group="/cg")
    assert (file.path, file.mode) == (CLOUD.layout.etc / "start" / "it", 0o700)


def test_the_group_is_entered_before_anything_else():
    lines = _script(replace(SERVICE, outlives=("holder",)), group="/c g/it")
    assert lines[:4] == ["#!/bin/sh", lines[1], "set -e", "echo $$ > '/c g/it'/cgroup.procs"]


def test_what_is_left_in_the_group_is_ended_first_unless_it_holds_servers():
    lines = _script(SERVICE, group="/cg/it")
    enter = lines.index("echo $$ > /cg/it/cgroup.procs")
    assert "kill -KILL" in lines[enter - 1]
    assert "cgroup.kill" in lines[enter - 2]
    assert "kill" not in "\n".join(_script(replace(SERVICE, outlives=("holder",))))


def test_every_word_reaches_the_program_as_it_is():
    lines = _script(SERVICE)
    assert shlex.split(lines[-1]) == ["exec", *SERVICE.command]
    exports = dict(shlex.split(line)[1].split("=", 1) for line in lines if line.startswith("export "))
    assert exports["WORDS"] == SERVICE.environment["WORDS"]
    assert exports["LC_ALL"] == "C.UTF-8"
    assert exports["PATH"].startswith("/usr/local/sbin:")


def test_a_services_own_path_wins():
    lines = _script(replace(SERVICE, environment={"PATH": "/venv/bin"}))
    assert [line for line in lines if "PATH" in line] == ["export PATH=/venv/bin"]


def test_another_user_gains_nothing_later():
    assert _script(replace(SERVICE, user="nobody", command=("it",)))[-1] == (
        "exec setpriv --reuid=nobody --regid=nobody --init-groups --no-new-privs -- it"
    )


@pytest.mark.parametrize(
    ("own_hostname", "words"),
    [(False, "--mount --propagation slave"), (True, "--mount --propagation slave --uts")],
)
def test_a_mount_namespace_is_made_in_the_group_and_prepared_inside(own_hostname, words):
    service = replace(
        SERVICE,
        mounts="slave",
        own_hostname=own_hostname,
        prepare=("mount --bind a b",),
        outlives=("holder",),
    )
    lines = _script(service)
    assert lines[3:5] == [
        'if [ "${1:-}" != inside ]; then',
        "    echo $$ > /cg/nova-docker/it/cgroup.procs",
    ]
    assert "/starts/it" in lines[5]
    assert "/starts/it" in lines[6]
    assert lines[7:9] == [
        f'    exec unshare {words} -- /bin/sh "$0" inside',
        "fi",
    ]
    assert lines[9] == "mount --bind a b"


def test_without_a_mount_namespace_preparation_is_there_too():
    assert "mkdir x" in _script(replace(SERVICE, prepare=("mkdir x",)))


def test_the_supervisor_starts_nothing_by_itself_and_restarts_everything():
    services = {"it": SERVICE, "other": replace(SERVICE, name="other", stop_seconds=3, stop_signal="INT")}
    text = render.supervisor_file(CLOUD, services).content
    sections = text.split("[program:")[1:]
    assert [section.partition("]")[0] for section in sections] == ["it", "other"]
    for section in sections:
        assert "autostart = false\n" in section
        assert "autorestart = true\n" in section
        assert "killasgroup = true\n" in section
    assert "stopwaitsecs = 3\n" in sections[1]
    assert "stopsignal = INT\n" in sections[1]
    assert f"file = {CLOUD.layout.supervisor_socket}\nchmod = 0700\n" in text


RELEVANT = {
    "command": {"command": ("/usr/bin/it",)},
    "user": {"user": "nobody"},
    "environment": {"environment": {"WORDS": "other"}},
    "preparation": {"prepare": ("true",)},
    "mount namespace": {"mounts": "slave"},
    "content": {"files": (replace(FILE, content="texts"),)},
    "mode": {"files": (replace(FILE, mode=0o644),)},
    "path": {"files": (replace(FILE, path=Path("/etc/y")),)},
    "no file": {"files": ()},
    "another file": {"files": (FILE, replace(FILE, path=Path("/etc/y")))},
    "text moved from one file to the next": {
        "files": (replace(FILE, content="te"), replace(FILE, path=Path("/etc/y"), content="xt"))
    },
}
IRRELEVANT = {
    "needs": {"needs": ("other",)},
    "readiness": {"ready": Tcp(5)},
    "folders": {"folders": (Folder(path=Path("/x")),)},
    "patience": {"within": 5},
    "end": {"stop_seconds": 5, "stop_signal": "INT"},
    "nothing": {},
}


@pytest.mark.parametrize("changes", RELEVANT.values(), ids=RELEVANT.keys())
def test_what_the_program_was_started_with_is_in_its_fingerprint(changes):
    assert _fingerprint(replace(SERVICE, **changes)) != _fingerprint(SERVICE)


@pytest.mark.parametrize("changes", IRRELEVANT.values(), ids=IRRELEVANT.keys())
def test_nothing_else_is(changes):
    assert _fingerprint(replace(SERVICE, **changes)) == _fingerprint(SERVICE)


def test_a_network_namespace_alone_is_made_too():
    lines = _script(replace(SERVICE, own_network=True, outlives=("holder",)))
    assert '    exec unshare --net -- /bin/sh "$0" inside' in lines
