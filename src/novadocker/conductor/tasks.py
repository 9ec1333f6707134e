# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""Nova's tasks of a conductor, with a note of the servers that are in its hands."""

import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from nova.conductor import manager


class ComputeTaskManager(manager.ComputeTaskManager):  # type: ignore[misc]
    """Nova's, and it knows which servers it works on."""

    def __init__(self) -> None:
        super().__init__()
        self._ids: list[str] = []
        self._lock = threading.Lock()

    def schedule_and_build_instances(
        self, context: Any, build_requests: Any, *arguments: Any, **options: Any
    ) -> None:
        """As Nova does, for servers that are asked for."""
        with self._noted(each.instance_uuid for each in build_requests):
            super().schedule_and_build_instances(context, build_requests, *arguments, **options)

    def build_instances(self, context: Any, instances: Any, *arguments: Any, **options: Any) -> None:
        """As Nova does, for servers that a host gave back."""
        with self._noted(each.uuid for each in instances):
            super().build_instances(context, instances, *arguments, **options)

    def migrate_server(self, context: Any, instance: Any, *arguments: Any, **options: Any) -> None:
        """As Nova does, for a resize or a migration."""
        with self._noted([instance["uuid"]]):  # a plain dictionary where an old client asks
            super().migrate_server(context, instance, *arguments, **options)

    def live_migrate_instance(self, context: Any, instance: Any, *arguments: Any, **options: Any) -> None:
        """As Nova does."""
        with self._noted([instance.uuid]):
            super().live_migrate_instance(context, instance, *arguments, **options)

    def rebuild_instance(self, context: Any, instance: Any, *arguments: Any, **options: Any) -> None:
        """As Nova does, for a rebuild or an evacuation."""
        with self._noted([instance.uuid]):
            super().rebuild_instance(context, instance, *arguments, **options)

    def unshelve_instance(self, context: Any, instance: Any, *arguments: Any, **options: Any) -> None:
        """As Nova does."""
        with self._noted([instance.uuid]):
            super().unshelve_instance(context, instance, *arguments, **options)

    def at_work(self) -> set[str]:
        """The servers whose requests are in this process' hands."""
        with self._lock:
            return set(self._ids)

    @contextmanager
    def _noted(self, ids: Iterable[str]) -> Iterator[None]:
        noted = list(ids)
        with self._lock:
            self._ids += noted
        try:
            yield
        finally:
            with self._lock:
                for each in noted:
                    self._ids.remove(each)
