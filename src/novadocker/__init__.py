# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""Docker containers and libvirt VMs as Nova servers on one host."""

__version__ = "34.0.0.dev0"
