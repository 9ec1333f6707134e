# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""Nova's ComputeDriver in parts: arguments become values, a room does the work, errors become Nova's."""
