# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""`python -m tools.reference`: write the generated pages and say which of them changed."""

from tools.reference import pages

for name in pages.write():
    print(f"written: {name}")
