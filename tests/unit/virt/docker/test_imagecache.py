# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""Loaded images stay as long as somebody needs them, and some time longer."""

import os
import time
from pathlib import Path
from typing import Any

import nova.conf
import pytest
from tests.unit.virt.docker.conftest import Bench, spawn

from novadocker.virt.docker import names
from novadocker.virt.docker.errors import ImageRejected

CONF = nova.conf.CONF
DAY = 86_400


class Cached:
    """A driver with one server, whose image has been loaded."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.driver = bench.driver()
        self.server = bench.server()
        spawn(self.driver, self.server, [])
        self.image_id = self.server.image_ref
        self.mark = Path(CONF.instances_path) / "_images/used" / self.image_id

    def unused(self, seconds: float) -> None:
        then = time.time() - seconds
        os.utime(self.mark, (then, then))

    def look(self, *servers: Any) -> bool:
        """Let Nova look after the cache; says whether the image is still there."""
        self.driver.manage_image_cache(None, servers)
        return names.image_tag(self.image_id) in self.bench.engine.tagged(names.IMAGE_REPOSITORY)


@pytest.fixture
def cached(bench: Bench) -> Cached:
    return Cached(bench)


def test_what_a_server_needs_stays_and_is_young_again(cached: Cached) -> None:
    cached.unused(2 * DAY)
    assert cached.look(cached.server)
    cached.driver.destroy(None, cached.server, [])
    assert cached.look()


def test_what_nobody_needs_goes_after_a_day(cached: Cached) -> None:
    cached.driver.destroy(None, cached.server, [])
    cached.unused(DAY - 60)
    assert cached.look()
    cached.unused(DAY + 60)
    assert not cached.look()
    assert not cached.mark.exists()
    cached.bench.fetched.clear()
    spawn(cached.driver, cached.server, [])
    assert [image for image, _ in cached.bench.fetched] == [cached.image_id]


def test_a_container_keeps_its_image_though_nova_knows_no_such_server(cached: Cached) -> None:
    cached.unused(2 * DAY)
    assert cached.look()
    cached.driver.destroy(None, cached.server, [])
    assert cached.look(), "its age counts from when the container was seen"


def test_an_image_without_a_mark_begins_to_age(cached: Cached) -> None:
    cached.driver.destroy(None, cached.server, [])
    cached.mark.unlink()
    assert cached.look()
    assert cached.mark.exists()


def test_nothing_goes_where_nova_is_told_to_keep_all(cached: Cached, monkeypatch: pytest.MonkeyPatch) -> None:
    cached.driver.destroy(None, cached.server, [])
    cached.unused(2 * DAY)
    CONF.set_override("remove_unused_base_images", False, "image_cache")
    try:
        assert cached.look()
    finally:
        CONF.clear_override("remove_unused_base_images", "image_cache")


def test_an_image_is_loaded_ahead_once(bench: Bench) -> None:
    made, server = bench.driver(), bench.server()
    assert made.cache_image(None, server.image_ref) is True
    assert made.cache_image(None, server.image_ref) is False
    spawn(made, server, [])
    assert len(bench.fetched) == 1


def test_one_that_was_loaded_for_a_larger_disk_is_refused_all_the_same(bench: Bench) -> None:
    images, image_id = bench.driver()._images, bench.server().image_ref
    images.load_ahead(None, image_id, disk_limit=1 << 30)
    with pytest.raises(ImageRejected, match="more than the 0 MiB"):
        images.ensure(None, image_id, disk_limit=1000)


def test_a_download_ends_where_it_has_become_too_large(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    given = []

    def endless(context: Any, image_id: str, data: Any, *, trusted_certs: Any) -> None:
        while True:
            given.append(data.write(bytes(8 << 20)))

    images = bench.driver()._images
    images._fetch = endless
    with pytest.raises(ImageRejected, match="more than the 8 MiB"):
        images.ensure(None, bench.server().image_ref, disk_limit=8 << 20)
    assert sum(given) <= 72 << 20
    assert not list((Path(CONF.instances_path) / "_images").glob("image-*"))


def test_what_the_daemon_refuses_is_the_image_s_fault(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(archive: Any) -> None:
        from novadocker.virt.docker.errors import EngineError

        raise EngineError("The Docker daemon refused the image.", facts="invalid diffID for layer 0")

    monkeypatch.setattr(bench.engine, "load", refuse)
    with pytest.raises(ImageRejected, match="refused it: invalid diffID for layer 0"):
        bench.driver()._images.ensure(None, bench.server().image_ref, disk_limit=1 << 30)
