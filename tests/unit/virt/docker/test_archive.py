# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""Archives somebody uploaded: what is taken, what is refused, and what the daemon gets to see."""

import bz2
import gzip
import hashlib
import io
import json
import lzma
import tarfile
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import zstandard
from tests.fakes.docker_archive import config, save, tar

from novadocker.virt.docker import archive, pause
from novadocker.virt.docker.errors import ImageRejected

LAYER = tar({"etc/motd": b"layer" * 1000})


def zstd(content: bytes) -> bytes:
    return zstandard.ZstdCompressor(write_content_size=False).compress(content)


def inspected(tmp_path: Path, content: bytes, **limits: Any) -> archive.Inspected:
    path = tmp_path / "image"
    path.write_bytes(content)
    return archive.inspect(path, **{"architecture": "amd64", "disk_limit": 1 << 30, **limits})


def loaded(found: archive.Inspected) -> dict[str, bytes]:
    """Return the files of the archive the daemon would get."""
    content = b"".join(archive.rewritten(found, tag="nova-docker/glance:id"))
    with tarfile.open(fileobj=io.BytesIO(content)) as made:
        return {entry.name: made.extractfile(entry).read() for entry in made if entry.isreg()}


def test_only_our_tag_reaches_the_daemon(tmp_path: Path) -> None:
    content = save(
        [LAYER], configuration=config([LAYER], command=["run"]), tags=["busybox:latest", "ubuntu:latest"]
    )
    for packed in (content, gzip.compress(content)):
        files = loaded(inspected(tmp_path, packed))
        manifest = json.loads(files["manifest.json"])
        assert [one["RepoTags"] for one in manifest] == [["nova-docker/glance:id"]]
        assert files[manifest[0]["Layers"][0]] == LAYER
        assert json.loads(files[manifest[0]["Config"]])["config"]["Cmd"] == ["run"]
        assert manifest[0]["Config"] == f"{hashlib.sha256(files[manifest[0]['Config']]).hexdigest()}.json"
        assert "repositories" not in files


def test_volumes_are_left_out(tmp_path: Path) -> None:
    content = save([LAYER], configuration=config([LAYER], command=["run"], config={"Volumes": {"/data": {}}}))
    files = loaded(inspected(tmp_path, content))
    settings = json.loads(files[json.loads(files["manifest.json"])[0]["Config"]])["config"]
    assert settings == {"Cmd": ["run"], "Env": ["PATH=/bin"]}


def test_what_nobody_here_heeds_is_left_out(tmp_path: Path) -> None:
    words = {"Healthcheck": {"Test": ["CMD", "x"]}, "Labels": {"nova.docker.uuid": "forged", "own": "kept"}}
    content = save([LAYER], configuration=config([LAYER], command=["run"], config=words))
    files = loaded(inspected(tmp_path, content))
    settings = json.loads(files[json.loads(files["manifest.json"])[0]["Config"]])["config"]
    assert settings == {"Cmd": ["run"], "Env": ["PATH=/bin"], "Labels": {"own": "kept"}}


@pytest.mark.parametrize("link", ["../a/layer.tar", "hard"])
def test_a_layer_may_be_a_link_to_an_equal_one(tmp_path: Path, link: str) -> None:
    configuration = json.dumps(config([LAYER, LAYER], command=["run"])).encode()
    manifest = [{"Config": "c.json", "RepoTags": None, "Layers": ["a/layer.tar", "b/layer.tar"]}]
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as made:
        for name, content in {
            "a/layer.tar": LAYER,
            "c.json": configuration,
            "manifest.json": json.dumps(manifest).encode(),
        }.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            made.addfile(entry, io.BytesIO(content))
        linked = tarfile.TarInfo("b/layer.tar")
        linked.type = tarfile.LNKTYPE if link == "hard" else tarfile.SYMTYPE
        linked.linkname = "a/layer.tar" if link == "hard" else link
        made.addfile(linked)
    files = loaded(inspected(tmp_path, out.getvalue()))
    first, second = json.loads(files["manifest.json"])[0]["Layers"]
    assert first == second
    assert files[first] == LAYER


def oci(*platforms: str, packed: Callable[[bytes], bytes] = bytes) -> bytes:
    files: dict[str, Any] = {"oci-layout": b"{}"}

    def blob(content: bytes) -> str:
        digest = hashlib.sha256(content).hexdigest()
        files[f"blobs/sha256/{digest}"] = content
        return f"sha256:{digest}"

    manifests = []
    for platform in platforms:
        configuration = blob(json.dumps(config([LAYER], command=["run"], architecture=platform)).encode())
        manifest = {"config": {"digest": configuration}, "layers": [{"digest": blob(packed(LAYER))}]}
        manifests.append(
            {
                "digest": blob(json.dumps(manifest).encode()),
                "platform": {"architecture": platform, "os": "linux"},
            }
        )
    files["index.json"] = json.dumps({"manifests": manifests}).encode()
    return tar(files)


def test_an_oci_archive_is_an_image_too(tmp_path: Path) -> None:
    files = loaded(inspected(tmp_path, oci("amd64", "arm64")))
    manifest = json.loads(files["manifest.json"])[0]
    assert files[manifest["Layers"][0]] == LAYER
    assert "index.json" not in files
    with pytest.raises(ImageRejected, match="holds 0 images for amd64"):
        inspected(tmp_path, oci("arm64"))


@pytest.mark.parametrize("packed", [gzip.compress, zstd, bz2.compress, lzma.compress])
def test_layers_come_to_the_daemon_unpacked(tmp_path: Path, packed: Callable[[bytes], bytes]) -> None:
    # Older daemons know no zstd; and what they are given is what was looked at.
    files = loaded(inspected(tmp_path, oci("amd64", packed=packed)))
    assert files[json.loads(files["manifest.json"])[0]["Layers"][0]] == LAYER


GOOD = config([LAYER], command=["run"])


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "not a container image"),
        (b"hello", "not a container image"),
        (b"QFI\xfb" + bytes(4096), "not a container image"),
        (gzip.compress(b"hello"), "not a container image"),
        (tar({"etc/passwd": b"root"}), "a tar archive, but not a container image"),
        (save([LAYER], configuration=GOOD, images=2), "holds 2 images"),
        (save([LAYER], configuration=GOOD, images=0), "holds 0 images"),
        (
            save([LAYER], configuration={**GOOD, "architecture": "arm64"}),
            "built for arm64, this host is amd64",
        ),
        (save([LAYER], configuration={**GOOD, "os": "windows"}), "made for windows"),
        (save([LAYER], configuration=GOOD)[:3000], "is cut short: upload it again"),
        (save([LAYER], configuration=GOOD)[:-11000], "is cut short: upload it again"),
        (gzip.compress(save([LAYER], configuration=GOOD))[:-20], "cannot be read|cut short|not a container"),
        (tar({"manifest.json": b"not json"}), "but not a container image"),
        (tar({"manifest.json": b"[not json"}), "own description of the image cannot be read"),
        (save([b"no tar"], configuration=GOOD), "layer 1, layer0/layer.tar, is not in it, or is no tar"),
        (save([LAYER, LAYER], configuration=GOOD), "does not fit its layers"),
        (tar({"manifest.json": b"{}"}), "holds 0 images"),
        (tar({"manifest.json": b'[{"Config": "c", "Layers": []}]'}), "c is not in it"),
        (tar({"manifest.json": b'[{"Config": "../../etc/shadow", "Layers": []}]'}), "outside of itself"),
        (tar({"../../etc/cron.d/x": b"boo", "manifest.json": b"[]"}), "outside of itself"),
        (tar({"/etc/cron.d/x": b"boo"}), "outside of itself"),
        (
            tar({"c": b"{}", "manifest.json": b'[{"Config": "c", "Layers": ["gone"]}]'}),
            "layer 1, gone, is not in it",
        ),
    ],
)
def test_what_is_refused(tmp_path: Path, content: bytes, words: str) -> None:
    with pytest.raises(ImageRejected, match=words):
        inspected(tmp_path, content)


def test_devices_are_refused(tmp_path: Path) -> None:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as made:
        entry = tarfile.TarInfo("layer.tar")
        entry.type = tarfile.CHRTYPE
        made.addfile(entry)
    with pytest.raises(ImageRejected, match="something no image has"):
        inspected(tmp_path, out.getvalue())


def test_it_must_fit_the_flavor_s_disk(tmp_path: Path) -> None:
    layer = tar({"zeros": bytes(3 << 20)})
    content = save([layer], configuration=config([layer]))
    for packed in (content, gzip.compress(content)):
        with pytest.raises(ImageRejected, match="Unpacked it takes more than the 2 MiB it may have here"):
            inspected(tmp_path, packed, disk_limit=2 << 20)
    assert inspected(tmp_path, content, disk_limit=4 << 20).sizes


@pytest.mark.parametrize("packed", [gzip.compress, zstd, bz2.compress, lzma.compress])
def test_a_layer_is_measured_unpacked_and_no_further_than_needed(
    tmp_path: Path, packed: Callable[[bytes], bytes]
) -> None:
    bomb = packed(tar({"zeros": bytes(64 << 20)}))
    assert len(bomb) < 100_000
    content = save([bomb] * 3, configuration=config([bomb] * 3))
    tracemalloc.start()
    with pytest.raises(ImageRejected, match="more than the 8 MiB"):
        inspected(tmp_path, content, disk_limit=8 << 20)
    assert tracemalloc.get_traced_memory()[1] < 40 << 20
    tracemalloc.stop()


def test_layers_count_together(tmp_path: Path) -> None:
    layers = [tar({"one": bytes(3 << 20)}), tar({"two": bytes(3 << 20)})]
    with pytest.raises(ImageRejected, match="more than the 4 MiB"):
        inspected(tmp_path, save(layers, configuration=config(layers)), disk_limit=4 << 20)


def test_the_holes_of_a_sparse_file_count(tmp_path: Path) -> None:
    layer = bytearray(tar({"hole": b""}))
    layer[156:157] = b"S"
    layer[483:495] = b"10000000000\0"  # 1 GiB, octal
    layer[148:156] = b"%06o\0 " % (sum(layer[:512]) - sum(layer[148:156]) + 8 * 32)
    with pytest.raises(ImageRejected, match="more than the 8 MiB"):
        inspected(tmp_path, save([bytes(layer)], configuration=config([bytes(layer)])), disk_limit=8 << 20)


def test_an_endless_archive_ends(tmp_path: Path) -> None:
    # As one file, of which a header says that it goes on for 8 EiB, and as ever more small ones.
    endless = tarfile.TarInfo("layer.tar")
    endless.size = 1 << 62
    content = gzip.compress(endless.tobuf(format=tarfile.GNU_FORMAT) + bytes(80 << 20))
    with pytest.raises(ImageRejected, match="more than the 1 MiB"):
        inspected(tmp_path, content, disk_limit=1 << 20)
    with pytest.raises(ImageRejected, match="more than 20000 entries"):
        inspected(tmp_path, gzip.compress(tarfile.TarInfo("x").tobuf() * 20_001))


@pytest.mark.parametrize("kind", [b"x", b"g", b"L", b"K"])
def test_a_header_cannot_claim_the_memory_of_the_host(tmp_path: Path, kind: bytes) -> None:
    claim = tarfile.TarInfo("name")
    claim.type, claim.size = kind, 1 << 40
    with pytest.raises(ImageRejected, match="not a container image"):
        inspected(tmp_path, claim.tobuf(format=tarfile.GNU_FORMAT) + bytes(1 << 20))


def entry_of(name: str, kind: bytes, link: str = "") -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as made:
        entry = tarfile.TarInfo(name)
        entry.type, entry.linkname = kind, link
        made.addfile(entry)
    return out.getvalue()


@pytest.mark.parametrize(
    ("layer", "words"),
    [
        (entry_of("dev/sda", tarfile.BLKTYPE), "holds a device, .*: dev/sda"),
        (entry_of("dev/null", tarfile.CHRTYPE), "holds a device, .*: dev/null"),
        (entry_of("/etc/cron.d/x", tarfile.REGTYPE), "absolute path: /etc/cron.d/x"),
        (entry_of("a/../../x", tarfile.REGTYPE), "outside of itself: a/../../x"),
        (entry_of("x", tarfile.LNKTYPE, "../../etc/shadow"), "outside of itself: ../../etc/shadow"),
        (entry_of("x", b"Z"), "something no file system has: x"),
        (LAYER[:5000], "a layer is cut short"),
        (gzip.compress(LAYER)[:-20], "a layer cannot be read"),
    ],
)
def test_what_a_layer_may_not_hold(tmp_path: Path, layer: bytes, words: str) -> None:
    with pytest.raises(ImageRejected, match=words):
        inspected(tmp_path, save([layer], configuration=config([layer])))


def test_what_a_layer_may_hold(tmp_path: Path) -> None:
    for layer in (
        entry_of("run/fifo", tarfile.FIFOTYPE),
        entry_of("etc/mtab", tarfile.SYMTYPE, "/proc/self/mounts"),
        entry_of("bin/b", tarfile.LNKTYPE, "bin/a"),
        bytes(1024),
    ):
        inspected(tmp_path, save([layer], configuration=config([layer])))


def test_the_sandbox_image_is_one_of_them_and_always_the_same(tmp_path: Path) -> None:
    tag, content = pause.archive("amd64")
    assert pause.archive("amd64") == (tag, content)
    assert inspected(tmp_path, content).config["config"] == {"Cmd": ["/pause"]}
    assert pause.archive("arm64")[0] != tag
    assert len(pause.program("amd64")) < 200
    with pytest.raises(Exception, match="no sandbox program for processor architecture vax"):
        pause.program("vax")
