# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""What grows is told from what fills a cache, from noise, and from what is always there."""

import pytest

from novadocker.host.bench import growth
from novadocker.host.bench.growth import ALL, FLAT, GROWS, TOO_FEW, Limit, Sample

SERVERS = range(100, 501, 50)
COUNT = Limit(least=1.0)
MEMORY = Limit(least=1.0, share=0.02)


def _points(*values):
    return list(zip(SERVERS, values, strict=True))


def test_the_slope_is_the_line_s_and_an_outlier_does_not_move_it():
    line = [(x, 3 + 0.02 * x) for x in SERVERS]
    assert growth.slope(line) == pytest.approx(0.02)
    assert growth.slope([*line[:4], (250, 90.0), *line[5:]]) == pytest.approx(0.02)


def test_a_single_point_has_no_slope():
    assert growth.slope([(100, 7.0)]) == 0
    assert growth.noise([(100, 7.0)], by=0) == 0


@pytest.mark.parametrize(
    ("values", "wanted"),
    [
        ((30, 30, 30, 30, 30, 30, 30, 30, 30), FLAT),
        ((30, 31, 32, 33, 34, 35, 36, 37, 38), GROWS),
        ((30, 30, 31, 31, 32, 32, 33, 33, 34), GROWS),  # one in a hundred servers
        ((30, 32, 33, 32, 35, 34, 37, 36, 38), GROWS),  # among others that come and go
        ((30, 31, 30, 31, 31, 30, 31, 30, 31), FLAT),
        ((30, 36, 31, 35, 30, 37, 33, 31, 36), FLAT),  # a pool that breathes
        ((30, 30, 30, 30, 34, 34, 34, 34, 34), FLAT),  # a pool that has got its size
        ((38, 37, 36, 35, 34, 33, 32, 31, 30), FLAT),
    ],
)
def test_of_counts_whatever_goes_on_rising_grows(values, wanted):
    assert growth.verdict(_points(*values), COUNT) == wanted


@pytest.mark.parametrize(
    ("values", "wanted"),
    [
        ((80.0, 80.5, 81.0, 81.5, 82.0, 82.5, 83.0, 83.5, 84.0), FLAT),  # 1.25 % in a hundred servers
        ((80.0, 81.2, 82.0, 83.1, 84.0, 85.2, 86.0, 87.1, 88.0), GROWS),  # 2.5 %
        ((2.0, 2.1, 2.2, 2.3, 2.4, 2.5, 2.6, 2.7, 2.8), FLAT),  # less than a MiB in all
        ((80.0, 86.0, 79.0, 88.0, 81.0, 85.0, 90.0, 80.0, 87.0), FLAT),
    ],
)
def test_memory_may_rise_by_a_share_and_by_its_noise(values, wanted):
    assert growth.verdict(_points(*values), MEMORY) == wanted


def test_of_few_samples_nothing_is_said():
    assert growth.verdict([(2, 1.0), (4, 2.0), (6, 3.0)], COUNT) == TOO_FEW


@pytest.mark.parametrize(
    ("count", "at_once", "wanted"),
    [
        (500, 4, list(range(50, 501, 50))),
        (1020, 4, [*range(50, 1001, 50), 1020]),
        (6, 2, [2, 4, 6]),
        (3, 4, [3]),
        (1, 1, [1]),
    ],
)
def test_samples_are_taken_ten_times_or_each_50_servers(count, at_once, wanted):
    assert growth.rounds(count, at_once=at_once) == wanted


def test_the_warm_up_is_a_fifth_of_the_servers_and_100_at_most():
    samples = [Sample(servers=servers, figures={}) for servers in range(0, 1001, 50)]
    assert growth.warm(samples, count=1000)[0].servers == 100
    assert growth.warm(samples, count=250)[0].servers == 50
    assert growth.warm(samples, count=3)[0].servers == 50  # not the one before the first


def _samples(**by_measure):
    return [
        Sample(servers=servers, figures={name: values(number) for name, values in by_measure.items()})
        for number, servers in enumerate(SERVERS)
    ]


def test_what_appears_later_was_not_there_before():
    samples = _samples(descriptors=lambda number: {"holders": 2.0 * number} if number > 2 else {})
    found = growth.judged(samples)["descriptors"]["holders"]
    assert (found["first"], found["last"], found["verdict"]) == (0, 16, GROWS)
    assert found["per_100"] == pytest.approx(4, rel=0.1)
    assert list(growth.grown(growth.judged(samples))) == [("descriptors", "holders")]


def test_what_was_not_measured_is_left_out():
    samples = [
        *_samples(things=lambda _: {"mounts": 3}),
        Sample(servers=550, figures={"things": {"mounts": 3}}),
    ]
    assert list(growth.judged(samples)) == ["things"]
    assert growth.judged(samples)["things"]["mounts"]["verdict"] == FLAT
    assert growth.judged([]) == {}


def test_bytes_a_server_are_not_those_of_the_step_in_which_a_log_was_dropped():
    assert growth.a_server([(100, 0.0), (150, 5000.0), (200, 2000.0), (250, 7000.0)]) == 100
    assert growth.a_server([(100, 5.0)]) is None


def test_every_limit_counts_more_than_nothing():
    assert all(limit.least > 0 for limit in growth.LIMITS.values())
    assert ALL not in growth.LIMITS
