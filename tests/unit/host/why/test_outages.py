# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
from novadocker.host import journal
from novadocker.host.why import outages

WRITTEN = """\
2026-11-22 20:43:11,018 INFO waiting for ovn-controller to stop
2026-11-22 20:43:11,025 WARN stopped: ovn-controller (terminated by SIGKILL)
2026-11-22 20:43:12,000 WARN exited: dockerd (exit status 1; not expected)
2026-11-22 20:43:51,214 INFO spawned: 'ovn-controller' with pid 2365
2026-11-22 20:43:52,262 INFO success: ovn-controller entered RUNNING state, process has stayed up for > than 1
"""


def test_an_outage_begins_with_the_end_of_a_process_and_lasts_until_the_next_runs():
    found = outages.outages(journal.entries(WRITTEN.splitlines(), service="supervisor"))
    (over,) = found["ovn-controller"]
    assert str(over) == "20:43:11 supervisor: ovn-controller was stopped, until 20:43:52"
    (lasting,) = found["dockerd"]
    assert lasting.end is None
    assert "ended by itself (exit status 1; not expected)" in str(lasting)
