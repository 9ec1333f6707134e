# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""Archives somebody uploaded: what is taken, what is refused, and what the daemon gets to see."""

import gzip
import hashlib
import io
import json
import tarfile
from pathlib import Path
from typing import Any

import pytest
from tests.fakes.docker_archive import config, save, tar

from novadocker.virt.docker import archive, pause
from novadocker.virt.docker.errors import ImageRejected

LAYER = b"layer" * 1000


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


def test_a_layer_may_be_a_link_to_an_equal_one(tmp_path: Path) -> None:
    configuration = json.dumps(config([LAYER, LAYER], command=["run"])).encode()
    manifest = [{"Config": "c.json", "RepoTags": None, "Layers": ["a/layer.tar", "b/layer.tar"]}]
    content = tar(
        {
            "a/layer.tar": LAYER,
            "b/layer.tar": "../a/layer.tar",
            "c.json": configuration,
            "manifest.json": json.dumps(manifest).encode(),
        }
    )
    found = inspected(tmp_path, content)
    made = b"".join(archive.rewritten(found, tag="t:t"))
    with tarfile.open(fileobj=io.BytesIO(made)) as result:
        assert result.getmember("b/layer.tar").linkname == "../a/layer.tar"


def oci(*platforms: str) -> bytes:
    files: dict[str, Any] = {"oci-layout": b"{}"}

    def blob(content: bytes) -> str:
        digest = hashlib.sha256(content).hexdigest()
        files[f"blobs/sha256/{digest}"] = content
        return f"sha256:{digest}"

    manifests = []
    for platform in platforms:
        configuration = blob(json.dumps(config([LAYER], command=["run"], architecture=platform)).encode())
        manifest = {"config": {"digest": configuration}, "layers": [{"digest": blob(LAYER)}]}
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


GOOD = config([LAYER], command=["run"])


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "not a container image"),
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
        (save([LAYER], configuration=GOOD)[:3000], "not a container image|incomplete"),
        (tar({"manifest.json": b"not json"}), "not a container image"),
        (tar({"manifest.json": b"{}"}), "holds 0 images"),
        (tar({"manifest.json": b'[{"Config": "c", "Layers": []}]'}), "not a container image"),
        (tar({"manifest.json": b'[{"Config": "../../etc/shadow", "Layers": []}]'}), "outside of itself"),
        (tar({"../../etc/cron.d/x": b"boo", "manifest.json": b"[]"}), "outside of itself"),
        (tar({"/etc/cron.d/x": b"boo"}), "outside of itself"),
        (
            tar({"c": b"{}", "manifest.json": b'[{"Config": "c", "Layers": ["gone"]}]'}),
            "layer gone is not in it",
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
    layer = bytes(3 << 20)
    with pytest.raises(ImageRejected, match="needs 3 MiB of disk, the flavor's root disk has 2 MiB"):
        inspected(tmp_path, gzip.compress(save([layer], configuration=config([layer]))), disk_limit=2 << 20)


def test_the_sandbox_image_is_one_of_them_and_always_the_same(tmp_path: Path) -> None:
    tag, content = pause.archive("amd64")
    assert pause.archive("amd64") == (tag, content)
    assert inspected(tmp_path, content).config["config"] == {"Cmd": ["/pause"]}
    assert pause.archive("arm64")[0] != tag
    assert len(pause.program("amd64")) < 200
    with pytest.raises(Exception, match="no sandbox program for processor architecture vax"):
        pause.program("vax")
