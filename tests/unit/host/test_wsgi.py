# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""An application that builds something at its first request never gets two first requests."""

import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from novadocker.host.wsgi import FirstAlone


class LazyEnforcer:
    """Like Neutron's: there at once, of use only when the first request has filled it."""

    def __init__(self) -> None:
        self.rules: dict[str, bool] | None = None
        self.filling = threading.Event()
        self.fill = threading.Event()

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if "HTTP_X_AUTH_TOKEN" in environ:
            if self.rules is None:
                self.rules = {}
                self.filling.set()
                self.fill.wait(5)
                self.rules["create"] = True
            if not self.rules.get("create"):
                start_response("403 Forbidden", [])
                return [b"no"]
        start_response("200 OK", [])
        return [b"yes"]


def ask(application: Any, *, token: bool = True) -> str:
    seen: list[str] = []
    environ = {"HTTP_X_AUTH_TOKEN": "t"} if token else {}
    list(application(environ, lambda status, headers: seen.append(status)))
    return seen[0]


@pytest.mark.parametrize(("wrap", "second"), [(FirstAlone, "200 OK"), (lambda app: app, "403 Forbidden")])
def test_a_second_request_while_the_first_is_being_served(wrap: Callable[[Any], Any], second: str) -> None:
    enforcer = LazyEnforcer()
    application = wrap(enforcer)
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(ask, application)
        assert enforcer.filling.wait(5)
        other = pool.submit(ask, application)
        if second != "200 OK":
            other.result(5)
        enforcer.fill.set()
        assert (first.result(5), other.result(5)) == ("200 OK", second)


def test_a_request_without_a_token_is_not_the_first() -> None:
    enforcer = LazyEnforcer()
    application = FirstAlone(enforcer)
    assert ask(application, token=False) == "200 OK"
    enforcer.fill.set()
    assert ask(application) == "200 OK"
    assert application._warm.is_set()
