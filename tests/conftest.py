# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""The rules of the tiers hold for every test: see tests/tiers.py."""

import os

# Before anything imports nova: real threads, as its services run today.
os.environ["OS_NOVA_DISABLE_EVENTLET_PATCHING"] = "true"

pytest_plugins = ["tests.goldens", "tests.tiers"]
