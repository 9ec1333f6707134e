# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""Who may open a server's terminal: a secret path, good for one server and a short time (pure)."""

import hmac
import re
import secrets
from collections.abc import Callable

_PATH = re.compile(
    r"/(?P<uuid>[0-9a-f-]{36})/(?P<until>\d{1,12})/(?P<nonce>[\w-]{22})/(?P<seal>[0-9a-f]{64})"
)


class Tickets:
    """Tickets of this process: nothing is kept of them, and with the key, when it ends, all are void.

    :param valid: seconds; Nova's own token, checked before, ends no later.
    :param clock: seconds since the epoch.
    """

    def __init__(self, *, key: bytes, valid: int, clock: Callable[[], float]) -> None:
        self._key = key
        self._valid = valid
        self._clock = clock

    def issue(self, uuid: str) -> str:
        """Return a path nobody can guess."""
        what = f"/{uuid}/{int(self._clock()) + self._valid}/{secrets.token_urlsafe(16)}"
        return f"{what}/{self._seal(what)}"

    def admits(self, path: str) -> str | None:
        """Return the server a path opens; None for one that is forged or too old."""
        found = _PATH.fullmatch(path)
        if found is None or not hmac.compare_digest(self._seal(path.rpartition("/")[0]), found["seal"]):
            return None
        return found["uuid"] if self._clock() <= int(found["until"]) else None

    def _seal(self, what: str) -> str:
        return hmac.digest(self._key, what.encode(), "sha256").hex()
