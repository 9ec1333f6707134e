# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""Any one process of the cloud ends by SIGKILL: it comes back by itself, and nothing is lost with it."""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import psutil
import pytest
from keystoneauth1.exceptions import ClientException
from openstack.exceptions import SDKException
from tests.e2e.cloud import CONTAINER, KINDS, WORDS, Cloud
from tests.fakes import clouds

from novadocker.host import cgroups, observe
from novadocker.host import cloud as described
from novadocker.host.config import HostConfig
from novadocker.host.services import registry
from novadocker.host.supervise import choice

# As declared, so that a new service is killed too.
SERVICES = tuple(registry.services(clouds.cloud()))
BACK_SECONDS = 15
# Requests that were lost are told to be after a minute; Nova waits as long for an answer of its own.
FINAL_SECONDS = 150


class Requests:
    """Servers asked for and deleted at the moment somebody is killed, and one that shows that all works."""

    def __init__(self, cloud: Cloud, images: dict[str, Any]) -> None:
        self._cloud = cloud
        self._images = images
        self._count = 0
        self.asked: list[str] = []
        self.spare = self._new(CONTAINER, "spare").id
        assert cloud.becomes(self.spare, "ACTIVE", seconds=90)

    def _new(self, kind: str, word: str) -> Any:
        self._count += 1
        return self._cloud.create(f"e2e-crash-{self._count}-{word}", self._images[kind])

    def in_flight(self, kill: Callable[[], None]) -> tuple[str, str]:
        """Kill while a delete and a create are under way, each time a little earlier or later."""
        kind, leaving, name = KINDS[self._count % 2], self.spare, f"e2e-crash-{self._count + 1}-flying"

        def ask() -> None:
            for request in (
                lambda: self._cloud.connection.compute.delete_server(leaving),
                lambda: self._new(kind, "flying"),
            ):
                try:
                    request()
                except (SDKException, ClientException) as error:
                    print(f"refused: {error}")  # whoever asked knows

        asking = threading.Thread(target=ask)
        asking.start()
        time.sleep(0.1 + self._count % 7 * 0.15)  # no event: any moment will do
        kill()
        asking.join()
        return leaving, name

    def renew(self) -> None:
        """A new server as the next to be deleted: it works, with nothing to be forgiven."""
        self.spare = self._new(CONTAINER, "spare").id
        settled = self._cloud.settled(self._cloud.connection.compute.get_server(self.spare))
        assert settled.status == "ACTIVE", settled.fault

    def end(self, leaving: str, name: str) -> None:
        """See both requests at their ends: gone, active or failed, and nothing under way."""
        compute = self._cloud.connection.compute

        def under_way() -> str:
            left = []
            for one in compute.servers():
                if one.task_state or one.status == "BUILD":
                    left.append(f"{one.name} {one.status} {one.task_state}")
                elif one.id == leaving and one.status != "ERROR":
                    left.append(f"{one.name} was to be deleted")
            return ", ".join(left)

        deadline = time.monotonic() + FINAL_SECONDS
        while left := under_way():
            assert time.monotonic() < deadline, f"never at an end: {left}"
            time.sleep(0.5)
        for one in compute.servers():
            if one.id == leaving or one.name == name:
                fault = (one.fault or {}).get("message", "")
                print(f"{one.name}: {one.status} {fault}")
                assert one.status in ("ACTIVE", "ERROR")
                compute.delete_server(one.id)


@pytest.fixture(scope="module")
def known(cloud):
    """The cloud as the composer sees it."""
    found = described.recall(HostConfig(name=cloud.name, root=cloud.root, run_dir=cloud.run_dir))
    assert found
    return found


@pytest.fixture(scope="module")
def requests(cloud, servers, images) -> Iterator[Requests]:
    for kind in KINDS:
        servers[kind].page()
    asked = Requests(cloud, images)
    yield asked
    cloud.remove(asked.spare)


def back(known, *, since: float, gone: set[int]) -> float:
    """Wait until everything is well; seconds after the kill."""

    def problems() -> list[str]:
        return observe.observe(known).problems

    found = [""]
    while found := problems():
        assert time.monotonic() - since < BACK_SECONDS * 4, found
        time.sleep(0.1)
    assert not {pid for pid in gone if psutil.pid_exists(pid)}
    return time.monotonic() - since


def survives(cloud, known, servers, requests, victims: Callable[[], set[int]]) -> None:
    killed: dict[str, Any] = {}

    def kill() -> None:
        killed["pids"], killed["at"] = victims(), time.monotonic()
        for pid in killed["pids"]:
            with suppress(ProcessLookupError):  # the end of one may have been another's
                os.kill(pid, signal.SIGKILL)

    leaving, name = requests.in_flight(kill)
    assert killed["pids"]
    took = back(known, since=killed["at"], gone=killed["pids"])
    for kind in KINDS:
        assert WORDS[kind] in servers[kind].page(seconds=15)
    reached = time.monotonic() - killed["at"]
    requests.renew()
    worked = time.monotonic() - killed["at"]
    requests.end(leaving, name)
    print(f"back {took:.1f} s, pages {reached:.1f} s, a new server {worked:.1f} s, "
          f"all at an end {time.monotonic() - killed['at']:.1f} s after the kill")  # fmt: skip
    for kind in KINDS:
        assert cloud.connection.compute.get_server(servers[kind].id).status == "ACTIVE"
        assert WORDS[kind] in servers[kind].page(seconds=15)
    assert took < BACK_SECONDS


@pytest.mark.parametrize("name", SERVICES)
def test_a_service(own_cloud, known, servers, requests, name):
    pid = own_cloud.supervisor.getProcessInfo(name)["pid"]
    survives(own_cloud, known, servers, requests, lambda: {pid})


@pytest.mark.parametrize("name", SERVICES)
def test_those_it_started(own_cloud, known, servers, requests, name):
    """Workers, privileged helpers, proxies, the broker below its shell: one of each, all at once."""
    services = registry.services(known)
    service, group = services[name], choice.of(known, services).groups[name]
    supervised = own_cloud.supervisor.getProcessInfo(name)["pid"]
    spared = set(service.outlives) - {"haproxy"}
    victims: dict[str, int] = {}
    for pid in cgroups.members(group) - {supervised}:
        with suppress(psutil.NoSuchProcess):
            process = psutil.Process(pid)
            if not {each.name() for each in (process, *process.parents())} & spared:
                victims[process.name()] = pid
    if victims:
        print(f"{name}: {', '.join(victims)}")
        survives(own_cloud, known, servers, requests, lambda: set(victims.values()))
