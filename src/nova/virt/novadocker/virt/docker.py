# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""``compute_driver = novadocker.virt.docker.DockerDriver``, which Nova looks for below ``nova.virt``."""

from novadocker.virt.docker import DockerDriver

__all__ = ["DockerDriver"]
