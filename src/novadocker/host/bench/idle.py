# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""What many servers cost that do nothing: they are booted, left alone, asked once, and deleted."""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from novadocker.errors import NovaDockerError
from novadocker.host.bench import weight
from novadocker.host.bench.boots import Batch, Boot, last
from novadocker.host.bench.lookout import PORT, Answer, Lookout
from novadocker.host.bench.servers import PREFIX, Kind
from novadocker.host.bench.watcher import Watcher
from novadocker.host.bench.weight import SERVERS

# What is put off until after a boot is not to be taken for the cost of a server that is there.
_SETTLED = 10.0
# One that does not answer within it answers nobody.
_ANSWER_SECONDS = 30.0


def measure(
    watcher: Watcher,
    kind: Kind,
    lookout: Lookout,
    *,
    count: int,
    at_once: int,
    seconds: float,
    say: Callable[[str], None],
) -> dict[str, Any]:
    """Memory and processor time of a cloud with many idle servers, and whether all of them answer.

    :param lookout: asks them, once all are there.
    :param at_once: how many are booted, and deleted, at a time.
    :param seconds: for which processor time is looked at, without the servers and with them.
    :raises NovaDockerError: if one does not become ACTIVE, or does not answer.
    """
    scales = watcher.scales
    before, idle_before = scales.weigh(), scales.idle(seconds)
    batch = Batch(watcher, kind)
    boots: list[Boot] = []
    with ThreadPoolExecutor(max_workers=at_once) as pool:
        for begin in range(0, count, at_once):
            names = [f"{PREFIX}-idle-{number}" for number in range(begin, min(begin + at_once, count))]
            some = list(pool.map(batch.ask, names))
            batch.await_active(some)
            boots += some
            say(f"idle {len(boots)} of {count} are ACTIVE")
        batch.look_once_more()
        time.sleep(_SETTLED)
        memory = weight.of_a_server(before, scales.weigh(), count)
        idle = scales.idle(seconds)
        answers = _asked(lookout, [boot.id for boot in boots])
        for begin in range(0, count, at_once):
            some = boots[begin : begin + at_once]
            list(pool.map(batch.delete, some))
            batch.await_gone(some)
    batch.look_once_more()
    ended = last(boots)
    found: dict[str, Any] = {
        "count": count,
        "at_once": at_once,
        "last": {name: ended[name] for name in ("ACTIVE", "gone")},
        "memory": memory,
        "idle_percent": _percent(idle),
        "idle_before_percent": _percent(idle_before),
        "idle_by_service_percent": weight.percents(idle),
        "answered": len(answers),
        "answered_at_once": sum(answer.at_once for answer in answers),
    }
    say(
        f"{count} idle {kind.name}s: the last ACTIVE after {found['last']['ACTIVE']:.0f} s, "
        f"{memory['server_mib']:.1f} MiB each beyond their own, {found['idle_percent']} % of a core"
    )
    return found


def _asked(lookout: Lookout, servers: Sequence[str]) -> list[Answer]:
    for server in servers:
        lookout.ask(server, seconds=_ANSWER_SECONDS)
    answers = {server: lookout.answer(server) for server in servers}
    silent = [server for server, answer in answers.items() if answer.at is None]
    if silent:
        raise NovaDockerError(
            f"{len(silent)} of {len(servers)} idle servers of the instrument answer nobody.",
            facts=f"port {PORT}, {_ANSWER_SECONDS:.0f} s: {', '.join(silent[:5])}",
            hint="nova-docker doctor",
        )
    return list(answers.values())


def _percent(shares: dict[str, float]) -> float:
    # Where the kernel does not count groups, what runs in servers is told beside the services.
    return round(100 * sum(share for name, share in shares.items() if name != SERVERS), 2)
