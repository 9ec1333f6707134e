# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
import hashlib
import io
import json
import tarfile

from novadocker.host.images import container


def _read(archive: bytes) -> dict[str, bytes]:
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        return {entry.name: tar.extractfile(entry).read() for entry in tar if entry.isreg()}


def test_the_same_input_gives_the_same_bytes():
    assert container.archive(b"busybox") == container.archive(b"busybox")


def test_the_manifest_the_config_and_the_layer_agree():
    content = _read(container.archive(b"busybox"))
    (manifest,) = json.loads(content["manifest.json"])
    config = json.loads(content[manifest["Config"]])
    (layer,) = manifest["Layers"]
    assert manifest["RepoTags"] == ["nova-docker/httpd:latest"]
    assert manifest["Config"] == hashlib.sha256(content[manifest["Config"]]).hexdigest() + ".json"
    assert config["rootfs"]["diff_ids"] == ["sha256:" + hashlib.sha256(content[layer]).hexdigest()]
    assert config["config"]["ExposedPorts"] == {"80/tcp": {}}


def test_the_page_congratulates():
    content = _read(container.archive(b"busybox"))
    layer = next(data for name, data in content.items() if name.endswith("layer.tar"))
    assert b"Congratulations" in _read(layer)["www/index.html"]


def test_another_command_can_be_asked_for():
    content = _read(container.archive(b"busybox", name="demo/other", command=("/bin/none",)))
    (manifest,) = json.loads(content["manifest.json"])
    assert manifest["RepoTags"] == ["demo/other:latest"]
    assert json.loads(content[manifest["Config"]])["config"]["Cmd"] == ["/bin/none"]
