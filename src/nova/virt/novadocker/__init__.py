# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""The name under which Nova finds nova-docker: it looks for drivers below ``nova.virt`` only."""
