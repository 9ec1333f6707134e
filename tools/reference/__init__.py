# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""The pages of docs/reference that are written out of the code; `make docs-reference` writes them anew."""
