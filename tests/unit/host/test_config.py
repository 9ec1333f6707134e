# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
from dataclasses import replace
from pathlib import Path

import pytest

from novadocker.errors import NovaDockerError
from novadocker.host.config import HostConfig, check

GOOD = HostConfig()
REFUSED = {
    "empty name": ({"name": ""}, "name:"),
    "capital": ({"name": "Cloud"}, "name:"),
    "digit first": ({"name": "1cloud"}, "name:"),
    "long name": ({"name": "a" * 32}, "name:"),
    "line end after the name": ({"name": "cloud\n"}, "name:"),
    "relative root": ({"root": Path("cloud")}, "root:"),
    "the whole machine": ({"root": Path("/")}, "root:"),
    "a folder of the system's": ({"run_dir": Path("/run")}, "run_dir:"),
    "space": ({"root": Path("/var/lib/my cloud")}, "root:"),
    "percent": ({"root": Path("/var/lib/100%")}, "root:"),
    "dots": ({"root": Path("/var/lib/x/../..")}, "root:"),
    "same folder": ({"run_dir": GOOD.root}, "run_dir: outside"),
    "run in root": ({"run_dir": GOOD.root / "run"}, "run_dir: outside"),
    "root in run": ({"root": GOOD.run_dir / "root"}, "run_dir: outside"),
    "long run": ({"run_dir": Path("/run") / ("a" * 36)}, "run_dir: at most 40"),
    "no network": ({"external_cidr": "172.24.4.1/24"}, "external_cidr:"),
    "version 6": ({"private_cidr": "fd00::/64"}, "private_cidr:"),
    "small network": ({"private_cidr": "10.0.0.0/28"}, "private_cidr: at least"),
    "same networks": ({"private_cidr": GOOD.external_cidr}, "private_cidr: apart"),
    "long bridge": ({"external_bridge": "b" * 16}, "external_bridge:"),
    "one bridge": ({"external_bridge": GOOD.integration_bridge}, "external_bridge: another"),
}


def test_the_defaults_work():
    check(GOOD)


def test_longest_that_works():
    check(replace(GOOD, name="a" * 31, run_dir=Path("/run") / ("a" * 35), private_cidr="10.0.0.0/27"))


@pytest.mark.parametrize(("changes", "problem"), REFUSED.values(), ids=REFUSED.keys())
def test_what_cannot_work_is_refused(changes, problem):
    with pytest.raises(NovaDockerError) as caught:
        check(replace(GOOD, **changes))
    assert any(line.startswith(problem) for line in caught.value.facts.splitlines()), caught.value.facts


def test_every_problem_is_told_at_once():
    bad = HostConfig(
        name="X",
        root=Path("a"),
        run_dir=Path("/run") / ("b" * 50),
        external_cidr="x",
        private_cidr="y",
        integration_bridge="",
    )
    with pytest.raises(NovaDockerError) as caught:
        check(bad)
    told = [line.partition(":")[0] for line in caught.value.facts.splitlines()]
    assert told == ["name", "root", "run_dir", "external_cidr", "private_cidr", "integration_bridge"]


def test_the_gateway_is_the_first_address():
    config = replace(GOOD, external_cidr="192.0.2.64/26")
    assert (config.external_gateway, config.external_prefix) == ("192.0.2.65", 26)
