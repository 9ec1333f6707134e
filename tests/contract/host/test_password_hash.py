# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""Keystone takes the hashes that `arrival` writes for its own."""

import keystone.conf
import pytest
from keystone.common import password_hashing

from novadocker.host.bootstrap import arrival

pytestmark = pytest.mark.functional


def test_a_password_is_known_by_its_hash():
    keystone.conf.configure()
    hashed = arrival.hashed("correct horse")
    assert hashed != arrival.hashed("correct horse"), "each has its salt"
    assert password_hashing.check_password("correct horse", hashed)
    assert not password_hashing.check_password("wrong horse", hashed)
