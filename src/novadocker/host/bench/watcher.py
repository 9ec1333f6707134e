# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""What is needed to see servers come and go, and how to wait for it without asking the API."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from novadocker import poll
from novadocker.host.bench import news
from novadocker.host.bench.lookout import Lookout
from novadocker.host.bench.news import FAILED, GONE, News
from novadocker.host.bench.servers import Api
from novadocker.host.bench.weight import Scales

# Guests that boot at once under an emulated processor take minutes.
BOOT_SECONDS, END_SECONDS, ANSWER_SECONDS = 300.0, 180.0, 300.0
# So long the logs are trusted to tell; then the API is asked, in case a line was lost or its words changed.
_TRUSTED = 10.0


@dataclass(frozen=True, kw_only=True)
class Watcher:
    """All that is needed to see boots.

    :ivar compute: the service that makes such servers, by its name on this machine.
    :ivar must_answer: whether ACTIVE counts only of a server that answers.
    """

    api: Api
    news: News
    scales: Scales
    logs: Mapping[str, Path]
    lookout: Lookout | None
    compute: str
    must_answer: bool = False

    def hear(self, server: str, wanted: Sequence[str], *, seconds: float) -> str:
        """Wait for one of some words on a server; FAILED stands for a status of which none will come.

        :raises novadocker.poll.NotInTime: if there is none within `seconds`.
        """
        deadline = time.monotonic() + seconds
        while (heard := self.news.wait(server, wanted, seconds=_TRUSTED)) is None:
            record = self.api.look(server)
            status = record["status"] if record else GONE
            if status in wanted:
                return str(status)
            if status in ("ERROR", GONE):
                return FAILED
            if time.monotonic() > deadline:
                raise poll.NotInTime(
                    f"{' or '.join(wanted)}: not within {seconds:.0f} s.",
                    facts=f"server {server} is {status}",
                    hint=f"nova-docker why {server}",
                )
        return heard


def heard_by(lookout: Lookout) -> Callable[[str, str], None]:
    """Have servers asked for an answer at the moment they are told to be ACTIVE."""

    def heard(server: str, word: str) -> None:
        if word == news.ACTIVE:
            lookout.ask(server, seconds=ANSWER_SECONDS)

    return heard
