# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""Nova's ComputeDriver for servers that are Docker containers."""

from novadocker.virt.docker.adapter.host import HostCalls
from novadocker.virt.docker.adapter.life import LifeCalls
from novadocker.virt.docker.adapter.looking import LookingCalls
from novadocker.virt.docker.adapter.moving import MovingCalls
from novadocker.virt.docker.adapter.ports import PortCalls


class DockerDriver(HostCalls, LookingCalls, LifeCalls, MovingCalls, PortCalls):
    """Servers are Docker containers."""
