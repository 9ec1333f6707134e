# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""What this Nova's own resource tracker reads from Placement."""

import subprocess
import sys

import pytest

# Nova's tracker and Placement client with everything behind them replaced: each question of it is noted.
PROGRAM = """
import sys
from unittest import mock

from nova import monkey_patch
monkey_patch.patch(backend="threading")
from nova.compute import claims, pci_placement_translator, resource_tracker
from nova.scheduler.client import report

resource_tracker.CONF([], project="nova")
resource_tracker.CONF.set_override("report_in_placement", sys.argv[2] == "devices", "pci")
client = report.SchedulerReportClient.__new__(report.SchedulerReportClient)
for name in ("get_provider_subtree_and_ensure_root", "update_from_provider_tree", "_provider_tree"):
    setattr(client, name, mock.MagicMock())
client._provider_tree.get_provider_uuids.return_value = ["provider"]
client.get_allocations_for_resource_provider = lambda *_: mock.Mock(allocations={"one": {}, "two": {}})
client.get_allocs_for_consumer = lambda _, consumer: print("asks for", consumer)
tracker = resource_tracker.ResourceTracker.__new__(resource_tracker.ResourceTracker)
tracker.__dict__.update(
    reportclient=client, driver=mock.Mock(), tracked_migrations={}, pci_tracker=None, provider_configs={},
    _get_traits=mock.Mock(), _merge_provider_configs=mock.Mock(),
)
devices = mock.Mock(return_value=False)
with mock.patch.object(pci_placement_translator, "update_provider_tree_for_pci", devices):
    tracker._update_to_placement(mock.Mock(), mock.Mock(), startup=sys.argv[1] == "start")
print("allocations", sorted(devices.call_args.args[3]))
"""
ALL = ["asks for one", "asks for two", "allocations ['one', 'two']"]


@pytest.mark.parametrize(
    ("when", "what", "said"),
    [
        ("claim", "none", ["allocations []"]),
        ("start", "none", ALL),
        ("claim", "devices", ALL),
    ],
)
def test_a_claim_reads_no_allocations_that_nobody_looks_at(tmp_path, when, what, said):
    program = tmp_path / "nova-compute"
    program.write_text(PROGRAM)
    command = [sys.executable, "-m", "novadocker.programs.single", program, when, what]
    seen = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
    assert sorted(seen.stdout.splitlines()) == sorted(said), seen.stderr
