# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""A cloud as one file: saved here, loaded on another machine."""
