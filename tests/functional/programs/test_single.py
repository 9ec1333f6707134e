# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""A program of OpenStack's, made of the same libraries, in one process."""

import os
import signal
import subprocess
import sys

import psutil
import pytest

PROGRAM = """
import os, sys
from oslo_config import cfg
from oslo_privsep import priv_context
from oslo_service import service

CONTEXT = priv_context.PrivContext("__main__", cfg_section="test", pypath="__main__.CONTEXT", capabilities=[])


@CONTEXT.entrypoint
def privileged():
    return os.getpid()


class Work(service.Service):
    def start(self):
        if "fail" in sys.argv:
            raise RuntimeError("it cannot start")
        print("works", os.getpid(), *sys.argv[1:], CONTEXT.client_mode or privileged(), flush=True)

    def stop(self, graceful=False):
        print("stops", flush=True)
        if "hangs" in sys.argv:
            import time
            time.sleep(60)

    def reset(self):
        print("reset", cfg.CONF.colour, flush=True)


cfg.CONF.register_opt(cfg.StrOpt("colour", mutable=True))
cfg.CONF(["--config-file", sys.argv[1]], project="test")
cfg.CONF.set_default("graceful_shutdown_timeout", 1) if "graceful_shutdown_timeout" in cfg.CONF else None
{launch}
"""
ONE = 'service.launch(cfg.CONF, Work(), workers=1, restart_method="mutate").wait()'
TWO = """launcher = service.ProcessLauncher(cfg.CONF, restart_method="mutate")
launcher.launch_service(Work(), 1)
launcher.launch_service(Work(), 3)
launcher.wait()"""


@pytest.fixture
def start(tmp_path):
    """Start the program; its end is for the test."""
    started = []

    def begin(launch=ONE, *words):
        program, settings = tmp_path / "openstack-program", tmp_path / "program.conf"
        program.write_text(PROGRAM.replace("{launch}", launch))
        settings.write_text("[DEFAULT]\ncolour = blue\ngraceful_shutdown_timeout = 1\n")
        single = (sys.executable, "-m", "novadocker.programs.single")
        command = [*single, program, settings, *words]
        started.append(subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True))
        return started[-1]

    yield begin
    for each in started:
        each.kill()
        each.communicate()


@pytest.mark.parametrize(("launch", "services"), [(ONE, 1), (TWO, 2)])
def test_all_services_run_in_the_process_itself(start, launch, services):
    program = start(launch)
    words = [program.stdout.readline().split() for _ in range(services)]
    assert {each[1] for each in words} == {str(program.pid)}
    assert not psutil.Process(program.pid).children(recursive=True)


def test_told_to_end_the_services_finish_and_the_process_ends_well(start):
    program = start(TWO)
    for _ in range(2):
        program.stdout.readline()
    program.send_signal(signal.SIGTERM)
    assert program.stdout.read() == "stops\nstops\n"
    assert program.wait(20) == 0


def test_who_takes_too_long_to_finish_is_ended(start):
    program = start(ONE, "hangs")
    program.stdout.readline()
    program.send_signal(signal.SIGTERM)
    assert program.wait(20) == 1


def test_the_configuration_is_read_again(start, tmp_path):
    program = start()
    program.stdout.readline()
    (tmp_path / "program.conf").write_text("[DEFAULT]\ncolour = red\n")
    program.send_signal(signal.SIGHUP)
    assert program.stdout.readline() == "reset red\n"


def test_what_cannot_start_ends_with_its_error(start):
    program = start(ONE, "fail")
    assert program.wait(20) == 1
    assert "it cannot start" in program.stderr.read()


def test_root_does_itself_what_needs_rights(start):
    program = start()
    done_by = program.stdout.readline().split()[-1]
    assert done_by == (str(program.pid) if os.geteuid() == 0 else "True")
