# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""The instrument: what servers take, from the API call to an answer, and what the cloud weighs."""
