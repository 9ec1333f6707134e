# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""Why a server is as it is: everything about it is gathered first, and judged then."""
