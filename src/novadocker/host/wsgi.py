# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""Serve one WSGI application of OpenStack with waitress: `wsgi.py MODULE:NAME HOST PORT THREADS`.

The applications read `sys.argv` when they are imported, so it is emptied before (gunicorn's workers fail on
this).
"""

import importlib
import sys

import waitress


def main() -> None:
    """Import the application named by the first argument and serve it until told to end."""
    target, host, port, threads = sys.argv[1:5]
    module_name, _, attribute = target.partition(":")
    sys.argv = [module_name]
    application = getattr(importlib.import_module(module_name), attribute)
    waitress.serve(
        application,
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
