# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""A disk written down as an image, byte by byte."""

import hashlib
import io
import json
import tarfile

import pytest

from novadocker.virt.docker import disk_image
from novadocker.virt.docker.disk_image import Content, Origin, Reader
from novadocker.virt.docker.errors import DiskChanged

ORIGIN = Origin(settings={"Cmd": ["run"], "Env": ["A=b"], "User": "web"}, architecture="amd64")
CHUNKS = [b"one" * 100, b"", b"two" * 500]


def test_one_layer_is_an_archive_with_the_origin_s_settings() -> None:
    content = disk_image.measured(CHUNKS)
    assert content == Content(size=1800, digest=hashlib.sha256(b"".join(CHUNKS)).hexdigest())
    written = b"".join(disk_image.one_layer(CHUNKS, content=content, origin=ORIGIN))
    assert len(written) == disk_image.size(content, origin=ORIGIN)
    with tarfile.open(fileobj=io.BytesIO(written)) as tar:
        (image,) = json.load(tar.extractfile("manifest.json"))
        config = json.load(tar.extractfile(image["Config"]))
        (layer,) = image["Layers"]
        assert tar.extractfile(layer).read() == b"".join(CHUNKS)
    assert image["RepoTags"] is None
    assert config["config"] == ORIGIN.settings
    assert config["architecture"] == "amd64"
    assert config["rootfs"] == {"type": "layers", "diff_ids": [f"sha256:{content.digest}"]}


@pytest.mark.parametrize("second", [[b"longer" * 400], [b"x" * 1800], [b"short"], []])
def test_a_disk_that_changed_between_two_readings_is_no_image(second: list[bytes]) -> None:
    content = disk_image.measured(CHUNKS)
    with pytest.raises(DiskChanged):
        list(disk_image.one_layer(second, content=content, origin=ORIGIN))


def test_an_image_of_known_layers_holds_none() -> None:
    diffs = ["sha256:" + "a" * 64, "sha256:" + "b" * 64]
    written = disk_image.of_known_layers(diffs, origin=ORIGIN, tag="nova-docker/kept:u")
    with tarfile.open(fileobj=io.BytesIO(written)) as tar:
        (image,) = json.load(tar.extractfile("manifest.json"))
        assert json.load(tar.extractfile(image["Config"]))["rootfs"]["diff_ids"] == diffs
        assert set(tar.getnames()) == {image["Config"], "manifest.json"}
    assert image["RepoTags"] == ["nova-docker/kept:u"]
    assert len(image["Layers"]) == 2


def test_a_reader_gives_what_was_asked_for_and_then_nothing() -> None:
    reader = Reader(iter(CHUNKS))
    assert reader.read(200) == b"".join(CHUNKS)[:200]
    rest = b""
    while part := reader.read(700):
        assert len(part) <= 700
        rest += part
    assert rest == b"".join(CHUNKS)[200:]
    assert reader.read(1) == b""
