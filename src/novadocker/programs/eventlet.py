# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""Keep a library out that none of the services works with, and that others load where they find it.

With its resolver it is 10 MB and a fifth of a second in every process. Nova keeps it out by itself, and only
if nobody was quicker (nova/monkey_patch.py, poison_eventlet); Neutron cannot, since it takes a class from a
module that needs it (neutron/api/wsgi.py).
"""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import ModuleType


class _Absent:
    """Says of one module that it is not installed."""

    @staticmethod
    def find_spec(name: str, path: Sequence[str] | None = None, target: ModuleType | None = None) -> None:
        """Refuse it; leave all others to who is asked next."""
        if name.partition(".")[0] == "eventlet":
            raise ImportError("eventlet is kept out", name=name)


def keep_out() -> None:
    """From now on it cannot be imported."""
    sys.meta_path.insert(0, _Absent)


@contextmanager
def kept_out() -> Iterator[None]:
    """Keep it out meanwhile: of libraries that would use it if it were there."""
    keep_out()
    try:
        yield
    finally:
        sys.meta_path.remove(_Absent)
