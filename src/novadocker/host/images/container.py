# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""The demo container image: busybox and a page, as the archive that `docker save` writes. Pure."""

import hashlib
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.resources import files

from novadocker.host.images import archives

NAME = "nova-docker/httpd"
# What the page, its CGI program, and somebody who looks around inside need.
APPLETS = (
    "cat", "env", "false", "hostname", "httpd", "id", "ip", "ls", "mount", "nc", "nslookup", "ping", "ps",
    "sh", "sleep", "timeout", "true", "uname", "wget",
)  # fmt: skip
_CONTENT = files(__package__) / "content"
_PASSWD = "root:x:0:0:root:/:/bin/sh\nweb:x:1000:1000:web:/www:/bin/sh\n"
_GROUP = "root:x:0:\nweb:x:1000:\n"


def archive(busybox: bytes, *, name: str = NAME, command: Sequence[str] = ("/bin/serve",)) -> bytes:
    """A docker archive of one layer, the same bytes for the same input.

    It serves port 80 as the user `web`, without any capability.
    """
    layer = archives.tar(_files(busybox))
    digest = hashlib.sha256(layer).hexdigest()
    created = datetime.fromtimestamp(archives.TIME, tz=UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    config = _json(
        {
            "architecture": "amd64",
            "config": {
                "Cmd": list(command),
                "Env": ["PATH=/bin"],
                "ExposedPorts": {"80/tcp": {}},
                "User": "1000:1000",
                "WorkingDir": "/",
            },
            "created": created,
            "history": [{"created": created, "created_by": "nova-docker, from Debian's busybox-static"}],
            "os": "linux",
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}"]},
        }
    )
    config_name = f"{hashlib.sha256(config).hexdigest()}.json"
    manifest = _json(
        [{"Config": config_name, "RepoTags": [f"{name}:latest"], "Layers": [f"{digest}/layer.tar"]}]
    )
    return archives.tar(
        [
            archives.file(config_name, config),
            archives.file(f"{digest}/layer.tar", layer),
            archives.file("manifest.json", manifest),
        ]
    )


def _files(busybox: bytes) -> list[archives.Node]:
    return [
        archives.file("bin/busybox", busybox, executable=True),
        *(archives.link(f"bin/{applet}", "busybox") for applet in APPLETS),
        archives.file("bin/serve", content("serve"), executable=True),
        archives.file("etc/group", _GROUP),
        archives.file("etc/passwd", _PASSWD),
        archives.folder("tmp", mode=0o1777),
        archives.file("www/cgi-bin/fetch", content("fetch"), executable=True),
        archives.file("www/index.html", content("index.html")),
    ]


def content(name: str) -> bytes:
    """One of the files that go into the images."""
    return (_CONTENT / name).read_bytes()


def _json(value: object) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()
