# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""What is to be seen on a machine, as plain values: judged here, or elsewhere from a bundle."""
