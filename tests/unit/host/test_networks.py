# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
import pytest

from novadocker.errors import NovaDockerError
from novadocker.host import networks
from novadocker.host.config import HostConfig, usual
from novadocker.host.networks import Present

EMPTY = Present({}, [])
FIRST = {"external_cidr": "172.24.4.0/24", "integration_bridge": "ndk-int", "external_bridge": "ndk-ex"}


def _resolved(chosen=None, fixed=(), present=EMPTY, others=()):
    return networks.resolved(chosen or HostConfig(), dict(fixed), present=present, others=others)


def test_the_usual_where_nobody_has_it():
    assert _resolved() == HostConfig()


def test_floating_addresses_move_on_from_what_is_taken():
    present = Present({}, [("172.24.5.128/25", "eth0"), ("10.0.0.0/8", "eth0")])
    second = usual("second")
    assert _resolved(second, present=present, others=[FIRST]).external_cidr == "172.24.6.0/24"
    assert _resolved(present=Present({}, [("172.16.0.0/12", "tun0")])).external_cidr == "172.24.4.0/24"


def test_what_is_remembered_stays_beside_our_own_bridge():
    present = Present({"ndk-ex": "tun"}, [("172.24.9.0/24", "ndk-ex")])
    fixed = {"external_cidr": "172.24.9.0/24"}
    assert _resolved(fixed=fixed, present=present).external_cidr == "172.24.9.0/24"


@pytest.mark.parametrize(
    ("chosen", "fixed", "present", "others", "said"),
    [
        pytest.param(
            HostConfig(wanted=frozenset({"external_cidr"})), {}, Present({}, [("172.24.4.0/26", "lab0")]), (),
            "routed to lab0", id="wanted and routed",
        ),
        pytest.param(
            HostConfig(), FIRST, Present({}, [("172.24.4.0/24", "lab0")]), (), "routed to lab0",
            id="taken while down",
        ),
        pytest.param(usual("b"), FIRST, EMPTY, [FIRST], "of another cloud", id="another cloud's"),
        pytest.param(
            HostConfig(), {}, Present({"ndk-int": "bridge"}, []), (), "ndk-int is an interface", id="bridge",
        ),
    ],
)  # fmt: skip
def test_what_is_somebody_elses_is_refused(chosen, fixed, present, others, said):
    with pytest.raises(NovaDockerError) as caught:
        _resolved(chosen, fixed, present, others)
    assert said in caught.value.facts


def test_down_removes_what_it_came_up_with():
    changed = HostConfig(external_bridge="new", wanted=frozenset({"external_bridge"}))
    assert networks.remembered(changed, FIRST).external_bridge == "new"
    assert networks.remembered(changed, FIRST, whole=True).external_bridge == "ndk-ex"


@pytest.mark.parametrize("name", ["second", "a-very-long-name-of-a-cloud", "ndk", "lab"])
def test_no_two_names_share_a_bridge(name):
    chosen = usual(name)
    bridges = {chosen.integration_bridge, chosen.external_bridge}
    assert all(len(bridge) <= 15 for bridge in bridges)
    for other in ("nova-docker", "a-very-long-name-of-another", "second2"):
        theirs = usual(other)
        assert not bridges & {theirs.integration_bridge, theirs.external_bridge}
