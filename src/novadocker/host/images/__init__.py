# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""The two demo images, built on this machine from Debian packages, the same bytes each time."""
