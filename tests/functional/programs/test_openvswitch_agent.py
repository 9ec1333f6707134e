# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""Neutron's own agent, which cannot begin its work."""

import subprocess
import sys

import pytest

PROGRAM = """
from neutron.cmd.agents.ovs_neutron_agent import main
from neutron.plugins.ml2.drivers.openvswitch.agent import ovs_neutron_agent


class Agent:
    def __init__(self, *_):
        raise {error}('the switch has gone')

ovs_neutron_agent.OVSNeutronAgent = Agent
main()
"""


@pytest.mark.parametrize("error", ["RuntimeError", "OSError"])  # that it knows, and one it does not
def test_its_process_ends_with_its_work(tmp_path, error):
    program, settings = tmp_path / "neutron-openvswitch-agent", tmp_path / "agent.conf"
    program.write_text(PROGRAM.format(error=error))
    settings.write_text("[OVS]\nof_listen_port = 0\nof_listen_address = 127.0.0.1\n")
    command = [sys.executable, "-m", "novadocker.programs.single", program, "--config-file", settings]
    ended = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 1
    assert "the switch has gone" in ended.stderr + ended.stdout
    assert "its process ends" in ended.stderr + ended.stdout
