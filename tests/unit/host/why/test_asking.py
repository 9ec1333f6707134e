# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
from types import SimpleNamespace

import pytest

from novadocker.errors import NovaDockerError
from novadocker.host.why import asking

ONE = "0e2d7a5e-8a3f-4c39-9d3c-7d3f1a5b6c7d"
TWO = "1f3e8b6f-9b40-4d4a-8e4d-8e402b6c7d8e"


class Nova:
    """Answers a list of servers as Nova does: by name as a pattern, deleted ones only where asked for."""

    def __init__(self, *servers):
        self.servers = servers
        self.compute = self

    def get(self, path, *, params, microversion):
        assert (path, params["all_tenants"], microversion) == ("/servers/detail", "1", "2.96")
        found = [
            each
            for each in self.servers
            if (each["status"] == "DELETED") == ("deleted" in params)
            and (each["id"] == params["uuid"] if "uuid" in params else each["name"] == params["name"][1:-1])
        ]
        return SimpleNamespace(status_code=200, json=lambda: {"servers": found})


def _server(uuid, name, status="ACTIVE"):
    return {"id": uuid, "name": name, "status": status, "created": "2026-11-22T20:00:00Z", "updated": "",
            "image": "", "flavor": {"original_name": "m1.tiny", "ram": 128}}  # fmt: skip


def test_by_name_and_by_id():
    nova = Nova(_server(ONE, "web"))
    assert asking.find(nova, "web")["id"] == ONE
    assert asking.find(nova, ONE)["flavor"]["name"] == "m1.tiny"


def test_the_living_one_is_meant_where_a_deleted_one_had_the_name():
    nova = Nova(_server(ONE, "web", "DELETED"), _server(TWO, "web"))
    assert asking.find(nova, "web")["id"] == TWO
    assert asking.find(nova, ONE)["status"] == "DELETED"


def test_several_of_a_name_are_told_apart():
    with pytest.raises(NovaDockerError, match="2 servers are called web") as caught:
        asking.find(Nova(_server(ONE, "web"), _server(TWO, "web", "ERROR")), "web")
    assert ONE in caught.value.facts
    assert f"{TWO}  ERROR" in caught.value.facts


def test_none():
    with pytest.raises(NovaDockerError, match="There is no server web"):
        asking.find(Nova(), "web")
