# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""Serve one WSGI application of OpenStack with waitress: `wsgi.py MODULE:NAME HOST PORT THREADS [alone]`.

The applications read `sys.argv` when they are imported, so it is emptied before (gunicorn's workers fail on
this).
"""

import importlib
import sys
import threading
from collections.abc import Callable, Iterable
from typing import Any

import waitress

Application = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


class FirstAlone:
    """Lets requests in one at a time until one with a token was answered well.

    Neutron and Keystone build their policy enforcer at the first request that needs it, and a second request
    meanwhile finds it there but empty: it is refused with 403 (neutron/policy.py, init).
    """

    def __init__(self, application: Application) -> None:
        self._application = application
        self._lock = threading.Lock()
        self._warm = threading.Event()

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Answer a request as the application does."""
        if self._warm.is_set():
            return self._application(environ, start_response)
        with self._lock:
            if self._warm.is_set():
                return self._application(environ, start_response)

            def noted(status: str, *arguments: Any) -> Any:
                if "HTTP_X_AUTH_TOKEN" in environ and status < "400":
                    self._warm.set()
                return start_response(status, *arguments)

            return self._application(environ, noted)


def main() -> None:
    """Import the application named by the first argument and serve it until told to end."""
    target, host, port, threads, *alone = sys.argv[1:]
    module_name, _, attribute = target.partition(":")
    sys.argv = [module_name]
    application: Application = getattr(importlib.import_module(module_name), attribute)
    waitress.serve(
        FirstAlone(application) if alone else application,
        host=host,
        port=int(port),
        threads=int(threads),
        ident=None,
        channel_timeout=120,
        connection_limit=500,
        max_request_body_size=1 << 40,
    )


if __name__ == "__main__":
    main()
