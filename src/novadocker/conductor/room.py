# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""Where Placement keeps room for a server, by the names of the hosts."""

from typing import Any

from nova import exception, objects


def kept(inside: Any, client: Any, consumer: str) -> dict[str, str]:
    """The hosts that a server or a migration has room on, each with its resource provider's id.

    :param inside: a context of the cell the hosts are in.
    """
    found: dict[str, str] = {}
    for provider in client.get_allocs_for_consumer(inside, consumer)["allocations"]:
        try:
            found[str(objects.ComputeNode.get_by_uuid(inside, provider).host)] = provider
        except exception.ComputeHostNotFound:  # a part of one, as a processor's caches
            continue
    return found
