# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""How upstream's programs are started on one small machine: unchanged, in as few processes as they need."""
