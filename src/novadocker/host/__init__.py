# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""The composer: turns one machine into a cloud, says how it is, and takes it away again."""
