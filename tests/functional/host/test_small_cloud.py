# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""Up and down of a cloud of four services: whatever was done to it meanwhile, it comes up, and goes whole."""

import os
import signal
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
from tests.fakes import clouds
from tests.fakes.listener import Listener
from tests.functional.host import grounds

from novadocker import poll
from novadocker.host import access, apply, cgroups, clients, mounts, probes, state, teardown
from novadocker.host.bootstrap import databases
from novadocker.host.config import HostConfig
from novadocker.host.services import mariadb, ovn, registry
from novadocker.host.services.model import Cloud, Service
from novadocker.host.steps import carry_out
from novadocker.host.supervise import supervisord

STEPS = {"files", "supervisor", "mariadb-files", "ovn-files", "namespaces"}
SERVICES = {"mariadb", "ovn-nb", "ovn-sb", "ovn-northd"}


def _northd(cloud: Cloud) -> Service:
    return replace(ovn.northd(cloud), within=4, stop_seconds=1)


class Small:
    """The cloud, and what a person does to it."""

    def __init__(self, folder: Path) -> None:
        self.clients = folder / "clouds.yaml"
        self.config = HostConfig(
            name=f"ndk-ct-{os.getpid()}",
            root=folder / "root",
            run_dir=folder / "run",
            external_bridge="ndk-ct-ex",
        )
        self.cloud = clouds.cloud(config=self.config, venv=Path(sys.prefix))
        self.group = cgroups.hierarchies().follow / self.config.name

    def up(self) -> list[str]:
        """Bring it up; returns what changed."""
        layout = self.cloud.layout
        state.refuse_foreign(layout)
        layout.data.mkdir(parents=True, exist_ok=True)
        state.remember(layout, state.Memory(hostname="ndk-ct", clients_file=str(self.clients)))
        clients.write(self.clients, access.accesses(self.cloud))
        listener = Listener()
        steps = [step for step in apply.of(self.cloud).steps() if step.name in STEPS | SERVICES]
        carry_out(steps, listener=listener)
        return [word.removeprefix("changed ") for word in listener.told if word.startswith("changed ")]

    def down(self, *, keep_data: bool = False) -> int:
        return teardown.take_down(self.config, keep_data=keep_data, listener=Listener())

    def pids(self) -> dict[str, int]:
        processes = supervisord.of(self.cloud).processes()
        return {name: processes[name].pid for name in SERVICES}

    def remains(self) -> list[object]:
        """What there is of it."""
        folders = [self.config.root, self.config.run_dir]
        groups = [mount / self.config.name for mount in cgroups.hierarchies().mounts]
        found: list[object] = [path for path in (*folders, self.clients, *groups) if path.exists()]
        found += [point for folder in folders for point in mounts.below(folder)]
        for process in psutil.process_iter():
            words = _words(process)
            found += [words for folder in folders if str(folder) in words]
        return found


def _words(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.NoSuchProcess:
        return ""


def _declare(monkeypatch, northd) -> None:
    declared = (mariadb.mariadb, ovn.northbound, ovn.southbound, northd)
    monkeypatch.setattr(registry, "ALL", {"ovn": declared})


@pytest.fixture
def small(folder, monkeypatch) -> Iterator[Small]:
    grounds.require("tini", "mariadbd", "ovsdb-tool", "ovn-northd", "iptables", "setpriv")
    _declare(monkeypatch, _northd)
    with grounds.network_namespace():
        made = Small(folder)
        try:
            yield made
        finally:
            made.down()
        assert made.remains() == []


def test_up_twice_and_down_twice(small):
    assert set(small.up()) == STEPS | SERVICES
    pids = small.pids()
    assert all(pids.values())
    assert small.up() == []
    assert small.pids() == pids
    assert small.down() > 0
    assert small.remains() == []
    small.down()
    assert small.remains() == []


def test_after_everything_but_the_services_was_killed(small):
    small.up()
    before = small.pids()
    entry = psutil.Process(supervisord.of(small.cloud).pid())
    for process in (entry.parent(), entry):
        os.kill(process.pid, signal.SIGKILL)
    poll.until(
        lambda: "answers" if supervisord.of(small.cloud).alive() else None,
        why="The supervisor is gone",
        seconds=5,
    )
    assert psutil.pid_exists(before["mariadb"])
    assert set(small.up()) == {"supervisor", *SERVICES}
    assert set(small.pids().values()).isdisjoint(before.values())
    assert small.up() == []


def test_one_that_was_stopped_and_one_that_hangs_are_put_right(small, monkeypatch):
    monkeypatch.setattr(probes, "_PATIENCE", 1)
    small.up()
    before = small.pids()
    os.kill(before["ovn-northd"], signal.SIGSTOP)
    supervisord.of(small.cloud).stop("ovn-nb")
    assert set(small.up()) == {"ovn-nb", "ovn-northd"}
    after = small.pids()
    assert after["ovn-northd"] != before["ovn-northd"]
    assert after["ovn-sb"] == before["ovn-sb"]


def test_other_settings_restart_whom_they_concern(small, monkeypatch):
    small.up()
    before = small.pids()
    small.cloud = replace(small.cloud, hostname="other")
    assert small.up() == []

    def verbose(cloud: Cloud) -> Service:
        declared = _northd(cloud)
        return replace(declared, command=(*declared.command, "-vconsole:info"), stop_seconds=5)

    _declare(monkeypatch, verbose)
    assert set(small.up()) == {"files", "supervisor", "ovn-northd"}
    after = small.pids()
    assert {name for name in SERVICES if after[name] != before[name]} == {"ovn-northd"}


def test_data_is_kept_when_asked_for(small):
    small.up()
    databases.make_database(small.cloud, "keystone", anew=True)
    assert small.down(keep_data=True) > 0
    assert not small.config.run_dir.exists()
    assert (small.config.root / "data" / "mariadb").is_dir()
    assert {"mariadb", "ovn-nb"} <= set(small.up())
    assert databases.tables(small.cloud) == {"keystone": 0}


def test_down_of_what_an_interrupted_up_left(small):
    layout = small.cloud.layout
    layout.data.mkdir(parents=True)
    small.down()
    assert small.remains() == []
    small.up()
    layout.memory_file.write_text("{")
    small.clients.unlink()  # who has it is forgotten with the rest
    small.down()
    assert small.remains() == []
