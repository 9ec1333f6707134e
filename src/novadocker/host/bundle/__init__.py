# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""All that somebody elsewhere needs to see what is wrong with a cloud, in one archive without its secrets."""
