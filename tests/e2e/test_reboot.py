# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""The machine loses power and boots: `up` brings back the cloud, and each server as it was."""

import time
from pathlib import Path

from tests.e2e.cloud import CONTAINER, KINDS, MACHINE, until
from tests.e2e.containers import answers
from tests.e2e.power_cut import cut

from novadocker.host import cgroups


def test_all_that_ran_runs_again(own_cloud, servers, images):
    """And what was off is off, what was on its way is at an end, what was to go has gone."""
    cloud, compute = own_cloud, own_cloud.connection.compute
    for kind in KINDS:
        servers[kind].page()
    off = {kind: cloud.create(f"e2e-off-{kind}", images[kind]).id for kind in KINDS}
    leaving = cloud.create("e2e-leaving", images[CONTAINER]).id
    for each in (*off.values(), leaving):
        cloud.becomes(each, "ACTIVE", seconds=120)
    for each in off.values():
        compute.stop_server(each)
    for each in off.values():
        cloud.becomes(each, "SHUTOFF")
    coming = [cloud.create(f"e2e-coming-{kind}", images[kind]).id for kind in KINDS]
    until(lambda: compute.get_server(coming[1]).compute_host, seconds=60, why="a host builds it")
    compute.delete_server(leaving)
    cut(cloud)
    assert not Path(cloud.run_dir).exists()

    began = time.monotonic()
    cloud.control("up")
    up = time.monotonic() - began
    for kind in KINDS:
        servers[kind].page(seconds=120)
    took = time.monotonic() - began
    print(
        f"`up` took {up:.1f} s, and {took:.1f} s until both servers answered; "
        f"{spent(cloud):.0f} s of processor"
    )
    for kind in KINDS:
        cloud.becomes(servers[kind].id, "ACTIVE")
        answers(cloud, servers[kind])
    compute = cloud.connection.compute
    until(lambda: compute.find_server(leaving, ignore_missing=True) is None, seconds=60, why="it went")
    for each in coming:
        settled = cloud.settled(compute.get_server(each), seconds=150)
        print(f"{settled.name}: {settled.status} {settled.fault}")
        assert settled.status in ("ACTIVE", "ERROR")
    assert {compute.get_server(each).status for each in off.values()} == {"SHUTOFF"}
    assert cloud.status()["problems"] == []
    for each in off.values():
        compute.start_server(each)
    for each in off.values():
        cloud.becomes(each, "ACTIVE")
    for each in (*off.values(), *coming):
        cloud.remove(each)
    with cloud.server("e2e-new", images[MACHINE]) as new:
        assert cloud.settled(new).status == "ACTIVE"
    assert took < 60


def spent(cloud) -> float:
    """Seconds of processor time the cloud's processes have used so far."""
    for mount in cgroups.hierarchies().mounts:
        usage, statistics = mount / cloud.name / "cpuacct.usage", mount / cloud.name / "cpu.stat"
        if usage.exists():
            return int(usage.read_text()) / 1e9
        if statistics.exists() and "usage_usec" in statistics.read_text():
            return int(statistics.read_text().split()[1]) / 1e6
    return 0
