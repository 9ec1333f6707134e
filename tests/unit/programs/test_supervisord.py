# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""When supervisord makes a copy of itself, and when it executes a program."""

import os
import sys
import threading
from pathlib import Path

import pytest
from tests.fakes import clouds

from novadocker.host import render
from novadocker.programs import begin, libraries, supervisord

COPY = ["/opt/venv/bin/python", "-P", "-m", render.BEGIN, "/etc/start/it.json"]
OTHER = ["/bin/sh", "/etc/start/it"]


class Became(BaseException):
    """A copy does not return."""


@pytest.fixture
def options(monkeypatch):
    monkeypatch.setattr(supervisord, "_load", lambda: None)
    monkeypatch.setattr(libraries, "installed", lambda: (("nova-34.dist-info", 1),))
    executed = []
    monkeypatch.setattr(os, "execve", lambda *words: executed.append(words))

    def become(file, environment):
        executed.append((file, environment))
        raise Became

    monkeypatch.setattr(begin, "become", become)
    made = supervisord.Options()
    made.executed = executed
    python = Path(sys.executable)
    made.check_execv_args(str(python), COPY, python.stat())
    return made


def test_a_service_of_ours_is_a_copy(options):
    with pytest.raises(Became):
        options.execve(COPY[0], COPY, {"A": "b"})
    assert options.executed == [(Path("/etc/start/it.json"), {"A": "b"})]


def test_every_other_is_executed(options):
    options.execve(OTHER[0], OTHER, {"A": "b"})
    assert options.executed == [(OTHER[0], OTHER, {"A": "b"})]


def test_after_an_upgrade_it_starts_from_what_is_installed_now(options, monkeypatch):
    """What is loaded is not mixed with newer modules of the same libraries."""
    monkeypatch.setattr(libraries, "installed", lambda: (("nova-34.dist-info", 2),))
    options.execve(COPY[0], COPY, {"A": "b"})
    assert options.executed == [(COPY[0], COPY, {"A": "b"})]


def test_who_cannot_wait_for_its_libraries_loads_them_itself(options, monkeypatch):
    """On a machine that is too busy: supervisord has others to answer."""
    goes_on = threading.Event()
    monkeypatch.setattr(supervisord, "_load", goes_on.wait)
    monkeypatch.setattr(supervisord, "_PATIENCE", 0.01)
    late = supervisord.Options()
    late.check_execv_args(sys.executable, COPY, Path(sys.executable).stat())
    late.execve(COPY[0], COPY, {})
    assert options.executed == [(COPY[0], COPY, {})]
    goes_on.set()


def test_who_renders_means_the_module_that_is_run():
    assert render.BEGIN == begin.MODULE
    assert "-m novadocker.programs.begin" in render.supervisor_file(clouds.cloud(), _services()).content


def _services():
    from novadocker.host.services import registry

    return registry.services(clouds.cloud())
