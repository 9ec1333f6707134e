# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""What is laid over a compute host of somebody else's cloud: files and steps, found out and written down."""
