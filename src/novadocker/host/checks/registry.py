# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""All checks, in the order in which they are told."""

from novadocker.host.checks import (
    agents,
    coming_back,
    computes,
    containers,
    machine,
    notices,
    servers,
    traffic,
)
from novadocker.host.checks.model import Check, Finding, carry_out
from novadocker.host.evidence.model import Evidence

ALL: tuple[Check, ...] = (
    *machine.CHECKS,
    *coming_back.CHECKS,
    *agents.CHECKS,
    *traffic.CHECKS,
    *notices.CHECKS,
    *containers.CHECKS,
    *computes.CHECKS,
    *servers.CHECKS,
)


def examine(evidence: Evidence) -> list[Finding]:
    """Carry out every check."""
    return [finding for check in ALL for finding in carry_out(check, evidence)]
