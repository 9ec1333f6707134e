# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""The Docker driver: containers as Nova servers."""

from novadocker.virt.docker.driver import DockerDriver

__all__ = ["DockerDriver"]
