# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""One step of the path ``novadocker.virt.docker`` as Nova spells it."""
