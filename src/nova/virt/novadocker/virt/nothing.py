# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""``compute_driver = novadocker.virt.nothing.NothingDriver``, for `nova-docker bench`."""

from novadocker.virt.nothing import NothingDriver

__all__ = ["NothingDriver"]
