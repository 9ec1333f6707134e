# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""Keystone takes the hashes that `arrival` writes for its own."""

import subprocess
import sys

import pytest

pytestmark = pytest.mark.functional

# In a process of its own: each service keeps its configuration in globals.
SCRIPT = """
import keystone.conf
from keystone.common import password_hashing
from novadocker.host.bootstrap import identity
keystone.conf.configure()
hashed = identity.hashed("correct horse")
assert hashed != identity.hashed("correct horse"), "each has its salt"
assert password_hashing.check_password("correct horse", hashed)
assert not password_hashing.check_password("wrong horse", hashed)
"""


def test_a_password_is_known_by_its_hash():
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
