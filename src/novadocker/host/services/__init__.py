# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""The upstream programs of the cloud, declared; nothing here starts one."""
