# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""What the page on doctor says of the checks is so."""

import re

import pytest
from tests.fakes import evidence
from tests.unit.host.checks import test_checks
from tools.reference import doctor, pages

from novadocker.host.checks import registry
from novadocker.host.checks.model import carry_out

TOLD = doctor.read(pages.ROOT / doctor.SOURCE)
CHECKS = {check.id: check for check in registry.ALL}
# One-host clouds' problems, as the list of them counts.
ROWS = set(range(1, 22))


def test_it_speaks_of_every_check_and_of_no_other():
    assert set(TOLD) == {check.id for check in registry.ALL}


@pytest.mark.parametrize("name", TOLD)
def test_what_is_planted_has_a_test_and_what_is_not_a_reason(name):
    told = TOLD[name]
    if told["planted"] == "recorded":
        assert told["why"]
        return
    file, _, test = told["test"].partition("::")
    assert f"def {test}(" in (pages.ROOT / file).read_text()


@pytest.mark.parametrize("name", TOLD)
def test_what_is_safe_is_called_so(name):
    planted = [changes for check, changes, *_ in test_checks.PLANTED.values() if check == name]
    found = [one for changes in planted for one in carry_out(CHECKS[name], evidence.evidence(**changes))]
    safe = {one.safe for one in found if one.status in ("warn", "fail")}
    assert TOLD[name]["safe"] == ("some" if len(safe) == 2 else "yes" if safe == {True} else "no")


def test_every_known_problem_has_a_check():
    found = {int(row) for each in TOLD.values() for row in re.findall(r"\b\d+\b", each.get("about", ""))}
    assert found >= ROWS
