# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""The system container image: Debian with cloud-init, sshd and sudo, out of this machine's Debian mirror."""

import hashlib
import json
import re
import tarfile
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.resources import files
from io import BytesIO
from pathlib import Path

from novadocker import files as disk_files
from novadocker.errors import NovaDockerError
from novadocker.host.images import archives
from novadocker.run import run

NAME = "nova-docker/debian"
SUITE = "bookworm"
BOOT = "/usr/lib/nova-docker/boot"
PACKAGES = (
    "ca-certificates", "cloud-init", "insserv", "iproute2", "iputils-ping", "netbase", "openssh-server",
    "sudo",
    "usr-is-merged",  # else usrmerge is installed to merge what is merged, and 50 MB of Perl for it
)  # fmt: skip
_LEFT_OUT = ("doc/*", "i18n/*", "info/*", "locale/*", "man/*")
_HOOKS = Path("/usr/share/mmdebstrap/hooks/merged-usr")
# Made anew in each server, or none of a container's business: clock, kernel parameters, and a stop that
# cloud-init's scripts do not know.
_CLEAN = (
    'rm -f "$1"/etc/ssh/ssh_host_* "$1"/etc/rc?.d/[SK]??hwclock.sh "$1"/etc/rc?.d/[SK]??procps '
    '"$1"/etc/rc?.d/K??cloud-* "$1"/etc/apt/apt.conf.d/99mmdebstrap "$1"/var/cache/debconf/*-old '
    '"$1"/var/log/*.log "$1"/var/log/apt/* && : >"$1"/etc/machine-id'
)
_CONTENT = files(__package__) / "content" / "system"
_HINT = "Run `apt-get update`; the machine needs a Debian mirror for this once."


@dataclass(frozen=True, kw_only=True)
class SystemImage:
    """Where the image is, for `openstack image create --container-format docker`."""

    archive: Path
    changed: bool


def system_image(folder: Path, *, say: Callable[[str], None] = lambda _: None) -> SystemImage:
    """The image in `folder`, built where it is missing or what it is made of has changed.

    :param say: told what takes time.
    :raises NovaDockerError: if the mirror does not answer or a program fails.
    """
    archive, recipe = folder / "system.tar", folder / "system.json"
    source = _digest()
    if archive.is_file() and _made(recipe) == {"source": source, "size": archive.stat().st_size}:
        return SystemImage(archive=archive, changed=False)
    folder.mkdir(parents=True, exist_ok=True)
    say("building Debian from its packages, about a minute")
    with tempfile.TemporaryDirectory(prefix="system-", dir=folder) as work:
        root, made = Path(work) / "root.tar", Path(work) / "system.tar"
        _bootstrap(root, work=Path(work))
        say("packing the image")
        _pack(made, layers=[root.read_bytes(), archives.tar(_own())])
        made.replace(archive)
    facts = {"source": source, "size": archive.stat().st_size}
    disk_files.write(recipe, json.dumps(facts) + "\n")
    return SystemImage(archive=archive, changed=True)


def sources() -> list[str]:
    """Where this machine gets Debian's packages from, as lines of a sources.list, without passwords.

    :raises NovaDockerError: if it has no source of this Debian.
    """
    wanted = "deb $(REPO_URI) $(RELEASE) $(COMPONENT)"
    told = run(
        ["apt-get", "indextargets", "--format", wanted, "Created-By: Packages", "Origin: Debian"], hint=_HINT
    ).out
    lines = [re.sub(r"//[^/@]*@", "//", line) for line in told.splitlines()]
    found = list(
        dict.fromkeys(line for line in lines if line.split()[2].startswith(SUITE) and " main" in line)
    )
    if not any(line.split()[2] == SUITE for line in found):
        raise NovaDockerError(
            f"apt knows no mirror of Debian {SUITE} on this machine.", facts=told[:500], hint=_HINT
        )
    return found


def _bootstrap(root: Path, *, work: Path) -> None:
    proxies = run(["apt-config", "dump", "--format", '%f "%v";%n', "Acquire::http::Proxy"]).out.splitlines()
    # Its mounts are in a namespace of their own, which ends with it however it ends.
    run(
        [
            "unshare", "--mount", "mmdebstrap", "--quiet", "--mode=root", "--variant=minbase",
            f"--include={','.join(PACKAGES)}", f"--hook-dir={_HOOKS}",
            *(f"--dpkgopt=path-exclude=/usr/share/{each}" for each in _LEFT_OUT),
            "--dpkgopt=path-include=/usr/share/doc/*/copyright",
            *(f"--aptopt={line}" for line in proxies if line.strip()),
            f"--customize-hook={_CLEAN}", "--skip=output/dev",
            SUITE, root, *sources(),
        ],
        seconds=1200,
        environment={"TMPDIR": str(work), "SOURCE_DATE_EPOCH": str(archives.TIME), "LC_ALL": "C.UTF-8"},
        hint=_HINT,
    )  # fmt: skip


def _own() -> list[archives.Node]:
    commands = [
        archives.link(f"usr/sbin/{name}", "../lib/nova-docker/shutdown")
        for name in ("halt", "poweroff", "reboot", "shutdown")
    ]
    return [
        archives.file("etc/cloud/cloud.cfg.d/90_nova_docker.cfg", _content("cloud.cfg")),
        archives.file("etc/cloud/local.cfg", _content("local.cfg")),
        archives.file("etc/default/cloud-init", _content("cloud-init")),
        archives.file("usr/lib/nova-docker/boot", _content("boot"), executable=True),
        archives.file("usr/lib/nova-docker/shutdown", _content("shutdown"), executable=True),
        archives.file("usr/sbin/runlevel", _content("runlevel"), executable=True),
        *commands,
    ]


def configuration(layers: list[str]) -> bytes:
    """The image's configuration, for layers of these digests; pure."""
    created = datetime.fromtimestamp(archives.TIME, tz=UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    settings = {
        "Cmd": [BOOT],
        # cloud-init takes this word of process 1 for OpenStack, where there is no firmware to say so.
        "Env": [
            "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "LANG=C.UTF-8",
            "product_name=OpenStack Nova",
        ],
        "ExposedPorts": {"22/tcp": {}},
        "StopSignal": "SIGTERM",
    }
    return json.dumps(
        {
            "architecture": "amd64",
            "config": settings,
            "created": created,
            "history": [{"created": created, "created_by": "nova-docker, from Debian's packages"}]
            * len(layers),
            "os": "linux",
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}" for digest in layers]},
        },
        sort_keys=True,
    ).encode()


def _pack(archive: Path, *, layers: list[bytes]) -> None:
    digests = [hashlib.sha256(layer).hexdigest() for layer in layers]
    config = configuration(digests)
    name = f"{hashlib.sha256(config).hexdigest()}.json"
    manifest = [
        {"Config": name, "RepoTags": [f"{NAME}:latest"], "Layers": [f"{each}/layer.tar" for each in digests]}
    ]
    with tarfile.open(archive, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for path, content in (
            *((f"{digest}/layer.tar", layer) for digest, layer in zip(digests, layers, strict=True)),
            (name, config),
            ("manifest.json", json.dumps(manifest).encode()),
        ):
            entry = tarfile.TarInfo(path)
            entry.size, entry.mtime, entry.mode = len(content), archives.TIME, 0o644
            tar.addfile(entry, BytesIO(content))


def _content(name: str) -> bytes:
    return (_CONTENT / name).read_bytes()


def _digest() -> str:
    digest = hashlib.sha256()
    for entry in (files(__package__) / "system.py", *sorted(_CONTENT.iterdir(), key=lambda each: each.name)):
        digest.update(entry.name.encode() + b"\0" + entry.read_bytes() + b"\0")
    return digest.hexdigest()


def _made(recipe: Path) -> object:
    try:
        return json.loads(recipe.read_text())
    except (FileNotFoundError, json.JSONDecodeError):
        return None
