# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""Whether anything is left of servers: many come and go, and what there is beside them is counted."""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from statistics import median
from typing import Any

from keystoneauth1.exceptions import ClientException
from openstack.exceptions import SDKException

from novadocker import poll
from novadocker.errors import NovaDockerError
from novadocker.host.bench import growth
from novadocker.host.bench.growth import ALL, Sample
from novadocker.host.bench.news import ACTIVE, FAILED, GONE
from novadocker.host.bench.samples import Sampler
from novadocker.host.bench.servers import PREFIX, Kind
from novadocker.host.bench.watcher import BOOT_SECONDS, END_SECONDS, Watcher

# A cloud in which so many fail is to be looked at, not to be filled.
_ENOUGH_FAILED = 20
# What services do after the last server has gone: agents take away what they had for its network, requests
# that were answered end, and connections go back to their pools.
_SETTLED = 5.0
_LEFT_SECONDS = 30.0


@dataclass(frozen=True, kw_only=True)
class Life:
    """What became of one server.

    :ivar active: seconds from the call until it was ACTIVE; None if it never was.
    :ivar failed: why it was not made.
    :ivar left: why it did not go.
    """

    name: str
    id: str = ""
    active: float | None = None
    failed: str = ""
    left: str = ""


def measure(
    watcher: Watcher, kind: Kind, sampler: Sampler, *, count: int, at_once: int, say: Callable[[str], None]
) -> dict[str, Any]:
    """Create and delete servers, a few at a time, and tell what grew.

    :param count: how many in all.
    :param at_once: how many at a time.
    :raises NovaDockerError: if a sample cannot be taken.
    """
    began = time.monotonic()
    lives: list[Life] = []
    samples = [sampler.take(0)]
    with ThreadPoolExecutor(max_workers=at_once) as pool:
        for end in growth.rounds(count, at_once=at_once):
            names = [f"{PREFIX}-soak-{number}" for number in range(len(lives), end)]
            batch = list(pool.map(lambda name: _live(watcher, kind, name), names))
            lives += batch
            left = _settle(watcher, known={each.id for each in lives if each.left})
            lives = [replace(each, left=left[each.id]) if each.id in left else each for each in lives]
            took = [each.active for each in batch if each.active is not None]
            samples.append(sampler.take(end, seconds=median(took) if took else None))
            failed = [each for each in lives if each.failed or each.left]
            say(f"soak {end} of {count}: {_shown(samples[-1])}; {len(failed)} failed")
            if len(failed) >= _ENOUGH_FAILED:
                break
    return report(samples, lives, wanted=count, at_once=at_once, seconds=time.monotonic() - began)


def report(
    samples: Sequence[Sample], lives: Sequence[Life], *, wanted: int, at_once: int, seconds: float
) -> dict[str, Any]:
    """What a soak tells; pure.

    :param wanted: how many servers were to come and go; after too many failures there were less.
    :param seconds: that all of it took.
    """
    warm = growth.warm(samples, count=wanted)
    judged = growth.judged(warm)
    logs = [(each.servers, each.figures["log_bytes"][ALL]) for each in warm]
    bytes_a_server = growth.a_server(logs)
    return {
        "count": len(lives),
        "wanted": wanted,
        "at_once": at_once,
        "seconds": round(seconds, 1),
        "base": warm[0].servers if warm else None,
        "failures": sum(bool(each.failed) for each in lives),
        "failed": [{"server": each.id or each.name, "why": each.failed} for each in lives if each.failed],
        "left": [{"server": each.id, "why": each.left} for each in lives if each.left],
        "growing": [f"{measure}: {name}" for measure, name in growth.grown(judged)],
        "growth": judged,
        "logs": {
            "bytes_a_server": None if bytes_a_server is None else round(bytes_a_server),
            "first": logs[0][1] if logs else None,
            "last": logs[-1][1] if logs else None,
            "bounded": all(
                each["verdict"] != growth.GROWS for each in judged.get("unrotated_bytes", {}).values()
            ),
        },
        "samples": [asdict(each) for each in samples],
    }


def _live(watcher: Watcher, kind: Kind, name: str) -> Life:
    """Have one server come and go; whatever fails is told of it, and the others go on."""
    server = ""
    try:
        asked = watcher.api.create(name, kind)
        server = asked.id
        heard = watcher.hear(server, (ACTIVE, FAILED), seconds=BOOT_SECONDS)
        if heard != ACTIVE:
            status, fault = watcher.api.state(server)
            return Life(name=name, id=server, failed=f"{status}: {fault}", left=_ended(watcher, server))
        active = (watcher.news.moment(server, ACTIVE) or time.time()) - asked.began
    except (NovaDockerError, SDKException, ClientException) as error:
        return Life(name=name, id=server, failed=str(error), left=_ended(watcher, server) if server else "")
    return Life(name=name, id=server, active=active, left=_ended(watcher, server))


def _ended(watcher: Watcher, server: str) -> str:
    """Delete a server; returns why it does not go, as far as that can be told before the round is over."""
    try:
        watcher.api.delete(server)
        # One in ERROR has nothing on a host whose end would be written: `_settle` sees whether it has gone.
        watcher.hear(server, (GONE,), seconds=END_SECONDS)
    except (NovaDockerError, SDKException, ClientException) as error:
        return str(error)
    return ""


def _settle(watcher: Watcher, *, known: set[str]) -> dict[str, str]:
    """Wait until Nova has no server of the instrument any more, and services have come to rest.

    :param known: those that do not go, which are told already; the others that do not are returned.
    """
    left: dict[str, str] = {}

    def remaining() -> str | None:
        left.clear()
        left.update({name: each for name, each in watcher.api.statuses().items() if name not in known})
        return ", ".join(sorted(left)) or None

    # What stays is told in the report; the servers that come after it are counted all the same.
    with suppress(poll.NotInTime):
        poll.until(remaining, why="The end of a round's servers", seconds=_LEFT_SECONDS)
    time.sleep(_SETTLED)
    return left


def _shown(sample: Sample) -> str:
    figures = sample.figures
    things = ", ".join(f"{count:g} {name}" for name, count in figures["things"].items())
    return f"{figures['pss_mib'][ALL]:.0f} MiB, {figures['descriptors'][ALL]:g} open files, {things}"
