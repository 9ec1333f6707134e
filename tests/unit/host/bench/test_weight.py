# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
import pytest

from novadocker.host.bench import weight
from novadocker.host.bench.weight import HOLDERS, MIB, SERVERS, Times, Weight


def test_what_carries_servers_and_runs_in_them_is_no_part_of_the_control_plane():
    pss = {"neutron": 200, "mariadb": 100, HOLDERS: 50, SERVERS: 30}
    assert Weight(pss=pss, taken=1000).control_plane == 300


def test_processor_time_is_what_was_spent_between_two_looks():
    before = Times(1.0, {"neutron": 10.0, "mariadb": 5.0})
    after = Times(3.0, {"neutron": 11.5, "mariadb": 5.001, "nova-nothing": 0.5})
    assert before.until(after) == {"neutron": 1.5, "nova-nothing": 0.5}


def test_little_by_little_is_something_in_the_end():
    spent = Times(0.0)
    for number in range(3):
        began = {"glance": 7.0 + number, "keystone": 1.0}
        ended = {"glance": began["glance"] + 0.003, "keystone": 1.0, "nova-nothing": 0.25}
        spent = spent.plus(Times(10.0 * number, began), Times(10.0 * number + 2.0, ended))
    assert spent.at == 6.0
    assert Times(0.0).until(spent) == {"glance": pytest.approx(0.009), "nova-nothing": 0.75}


@pytest.mark.parametrize(
    ("stat", "seconds"),
    [
        ("usage_usec 2500000\nuser_usec 2000000\nsystem_usec 500000\n", 2.5),
        ("nr_periods 0\nnr_throttled 0\nthrottled_time 0\n", None),  # of the first version's `cpu`
        (None, None),
    ],
)
def test_the_kernel_s_count_of_a_group_is_used_where_there_is_one(tmp_path, stat, seconds):
    if stat is not None:
        (tmp_path / "cpu.stat").write_text(stat)
    assert weight.used_by(tmp_path) == seconds


def test_what_a_server_weighs_is_parted_into_its_own_and_the_rest():
    before = Weight(pss={"glance": 50 * MIB, SERVERS: 10 * MIB}, taken=1000 * MIB)
    after = Weight(pss={"glance": 70 * MIB, SERVERS: 30 * MIB, HOLDERS: 40 * MIB}, taken=1100 * MIB)
    assert weight.of_a_server(before, after, 10) == {
        "servers": 10,
        "server_own_mib": 2.0,
        "server_mib": 6.0,
        "server_machine_mib": 10.0,
        "server_by_service_mib": {HOLDERS: 4.0, "glance": 2.0, SERVERS: 2.0},
    }
