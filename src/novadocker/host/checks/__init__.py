# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""What `doctor` finds: each check judges evidence that was gathered before, and touches nothing."""
