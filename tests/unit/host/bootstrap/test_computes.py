# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
import pytest

from novadocker.host.bootstrap import computes


def _stock(total: int, reserved: int = 0) -> dict[str, int]:
    return {"total": total, "reserved": reserved, "allocation_ratio": 8}


@pytest.mark.parametrize(
    ("providers", "offers"),
    [
        pytest.param({}, {"VCPU": [], "MEMORY_MB": [], "DISK_GB": []}, id="none yet"),
        pytest.param(
            {
                "host": {"VCPU": _stock(2, 1), "MEMORY_MB": _stock(16000, 10048), "DISK_GB": _stock(100, 70)},
                "host-docker": {
                    "VCPU": _stock(2, 1),
                    "MEMORY_MB": _stock(16000, 10048),
                    "DISK_GB": _stock(30),
                },
            },
            {"VCPU": [1, 1], "MEMORY_MB": [5952, 5952], "DISK_GB": [30, 30]},
            id="both",
        ),
        pytest.param(
            {"host": {"PCPU": _stock(2), "VCPU": _stock(2)}},
            {"VCPU": [2], "MEMORY_MB": [], "DISK_GB": []},
            id="other classes",
        ),
    ],
)
def test_offers_are_total_minus_reserved_before_overcommit(providers, offers):
    assert computes.offered(providers) == offers
