# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""Whether something grows with the number of servers that came and went; pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise
from statistics import median
from typing import Any

FLAT, GROWS, TOO_FEW = "flat", "grows", "too few samples"
# What belongs to all services, or to no single one.
ALL = "all"
_MIB = 1024 * 1024
# Of fewer, chance decides on the slope.
_FEWEST = 5
# By so many times the usual distance from the line a rise has to exceed it: two standard deviations, where
# the median distance is two thirds of one.
_NOISE = 3.0
# The first servers fill caches and pools.
_WARM_AFTER, _WARM_SHARE = 100, 5
_SAMPLE_AFTER, _SAMPLES = 50, 10


@dataclass(frozen=True)
class Limit:
    """What is still no growth.

    :ivar least: the rise of a whole run that counts, in the measure's own unit.
    :ivar share: that of 100 servers, as a share of the first value; it has to be exceeded, too.
    """

    least: float
    share: float = 0.0


LIMITS: Mapping[str, Limit] = {
    # Allocators keep what they were given once; a service that gains a fiftieth with 100 servers would be
    # twice as large after 5000.
    "pss_mib": Limit(least=1.0, share=0.02),
    # Of these nothing may stay of a server: a single one that goes on to come is too many.
    "descriptors": Limit(least=1.0),
    "threads": Limit(least=1.0),
    "things": Limit(least=1.0),
    # A file of a table grows by up to 4 MiB at a time.
    "database_bytes": Limit(least=8 * _MIB),
    # Logs that rotate grow up to their limit, and then no more; of others a line is too much.
    "unrotated_bytes": Limit(least=100.0),
    # Boots of one batch differ by a tenth.
    "seconds": Limit(least=0.1, share=0.05),
}


@dataclass(frozen=True, kw_only=True)
class Sample:
    """What there was while no server of the instrument was there.

    :ivar servers: how many had come and gone.
    :ivar figures: by measure, then by service, file or thing; one that is not named was not there.
    """

    servers: int
    figures: Mapping[str, Mapping[str, float]]


Points = Sequence[tuple[float, float]]


def rounds(count: int, *, at_once: int) -> list[int]:
    """After how many servers to take a sample: ten times, and no more than 50 servers apart."""
    step = min(_SAMPLE_AFTER, max(at_once, -(-count // _SAMPLES)))
    return [*range(step, count, step), count]


def warm(samples: Sequence[Sample], *, count: int) -> list[Sample]:
    """The samples from the end of the warm-up on: a fifth of the servers, 100 at most."""
    return [each for each in samples if each.servers >= max(1, min(_WARM_AFTER, count // _WARM_SHARE))]


def slope(points: Points) -> float:
    """The median of the slopes between any two points (Theil and Sen): outliers do not move it."""
    found = [(y2 - y1) / (x2 - x1) for (x1, y1), (x2, y2) in combinations(points, 2) if x1 != x2]
    return median(found) if found else 0.0


def noise(points: Points, *, by: float) -> float:
    """The median distance of the points from their line of the slope `by`."""
    heights = [y - by * x for x, y in points]
    middle = median(heights)
    return median(abs(height - middle) for height in heights)


def verdict(points: Points, limit: Limit) -> str:
    """Say whether a measure grows with the servers.

    It does if its rise counts by the limit, stands out of its noise, and goes on in the second half: what
    fills a cache or a pool rises once and stays.
    """
    if len(points) < _FEWEST:
        return TOO_FEW
    by = slope(points)
    rise = by * (points[-1][0] - points[0][0])
    counts = rise >= limit.least and 100 * by > limit.share * points[0][1]
    stands_out = rise > _NOISE * noise(points, by=by)
    return GROWS if counts and stands_out and slope(points[len(points) // 2 :]) > 0 else FLAT


def judged(samples: Sequence[Sample]) -> dict[str, dict[str, dict[str, Any]]]:
    """Each figure's first and last value, its growth per 100 servers, and the verdict."""
    found: dict[str, dict[str, dict[str, Any]]] = {}
    for measure, limit in LIMITS.items():
        held = [each for each in samples if measure in each.figures]
        names = dict.fromkeys(name for each in held for name in each.figures[measure])
        for name in names:
            points = [(each.servers, each.figures[measure].get(name, 0.0)) for each in held]
            found.setdefault(measure, {})[name] = {
                "first": round(points[0][1], 2),
                "last": round(points[-1][1], 2),
                "per_100": round(100 * slope(points), 3),
                "verdict": verdict(points, limit),
            }
    return found


def grown(growth: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> Iterable[tuple[str, str]]:
    """Measure and name of all that grows."""
    for measure, by_name in growth.items():
        for name, each in by_name.items():
            if each["verdict"] == GROWS:
                yield measure, name


def a_server(points: Points) -> float | None:
    """The usual rise per server from one point to the next; None of fewer than two.

    Where the oldest part of a log is dropped the sum falls once: the median does not see that.
    """
    steps = [(y2 - y1) / (x2 - x1) for (x1, y1), (x2, y2) in pairwise(points) if x1 != x2]
    return median(steps) if steps else None
