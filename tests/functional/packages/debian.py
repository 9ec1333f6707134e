# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""A Debian to install into: this machine through an overlay, with a repository of small packages."""

import hashlib
import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[3]

ENTER = r"""
set -e
mount --make-rprivate /
mount -t tmpfs overlay "$SPACE"
mkdir "$SPACE"/upper "$SPACE"/work "$SPACE"/root
mount -t overlay overlay -o "lowerdir=/,upperdir=$SPACE/upper,workdir=$SPACE/work" "$SPACE"/root
cd "$SPACE"/root
mount --make-private .
mount -t proc proc proc; mount --rbind /dev dev; mount -t tmpfs run run; mkdir run/lock
mkdir -p repository project
mount --bind "$REPOSITORY" repository; mount --bind "$PROJECT" project
mkdir -p etc/apt/sources.list.d; rm -rf etc/apt/sources.list etc/apt/sources.list.d/* var/lib/apt/lists/*
echo 'deb [trusted=yes] file:/repository ./' >etc/apt/sources.list
echo 'APT::Sandbox::User "root";' >etc/apt/apt.conf.d/99-test
# A runlevel and no chroot: without, Debian's tools start nothing, whatever the policy says.
rm -f sbin/runlevel; printf '#!/bin/sh\necho N 2\n' >sbin/runlevel; chmod 755 sbin/runlevel
mkdir -p mnt/before; pivot_root . mnt/before; cd /; umount -l /mnt/before
exec /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8 bash -c "$1"
"""

DAEMON_POSTINST = """#!/bin/sh
set -e
[ ! -e /hold ] || { touch /held; while [ -e /hold ]; do sleep 0.05; done; }
deb-systemd-helper enable NAME.service >/dev/null
update-rc.d NAME defaults >/dev/null
invoke-rc.d NAME start || exit 0
"""
UNIT = "[Service]\nExecStart=/bin/true\n[Install]\nWantedBy=multi-user.target\n"
SCRIPT = """#!/bin/sh
### BEGIN INIT INFO
# Provides: NAME
# Required-Start:
# Required-Stop:
# Default-Start: 2 3 4 5
# Default-Stop: 0 1 6
### END INIT INFO
echo "NAME $1" >>/started
"""


def build(folder: Path, name: str, *, version: str = "1", daemon: bool = False) -> Path:
    """Build a package; a daemon's enables its unit and starts it when installed, as Debian's do."""
    tree = folder / f"{name}-{version}"
    files: dict[str, tuple[str, int]] = {
        "DEBIAN/control": (
            f"Package: {name}\nVersion: {version}\nArchitecture: all\nMaintainer: nobody <nobody@localhost>\n"
            f"Description: a package for a test\n",
            0o644,
        ),
        f"usr/share/{name}/version": (version, 0o644),
    }
    if daemon:
        files |= {
            "DEBIAN/postinst": (DAEMON_POSTINST.replace("NAME", name), 0o755),
            f"lib/systemd/system/{name}.service": (UNIT, 0o644),
            f"etc/init.d/{name}": (SCRIPT.replace("NAME", name), 0o755),
        }
    for path, (text, mode) in files.items():
        (tree / path).parent.mkdir(parents=True, exist_ok=True)
        (tree / path).write_text(text)
        (tree / path).chmod(mode)
    package = folder / f"{name}_{version}_all.deb"
    command = ["dpkg-deb", "--root-owner-group", "-Zgzip", "-b", str(tree), str(package)]
    subprocess.run(command, check=True, capture_output=True)
    return package


def index(folder: Path) -> None:
    """Write the repository's list of packages."""
    entries = []
    for package in sorted(folder.glob("*.deb")):
        field = subprocess.run(["dpkg-deb", "-f", package], check=True, capture_output=True, text=True).stdout
        content = package.read_bytes()
        digest = hashlib.sha256(content).hexdigest()
        place = f"Filename: ./{package.name}\nSize: {len(content)}\nSHA256: {digest}\n"
        entries.append(f"{field.rstrip()}\n{place}")
    (folder / "Packages").write_text("\n".join(entries))


@dataclass(frozen=True)
class Debian:
    """This machine's system in an overlay that vanishes with the script that ran in it."""

    space: Path
    repository: Path

    def run(self, script: str, *, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a script as root inside, and return what it said."""
        environment: Mapping[str, str] = {
            **os.environ,
            "SPACE": str(self.space),
            "REPOSITORY": str(self.repository),
            "PROJECT": str(PROJECT),
        }
        apart = ["unshare", "--mount", "--pid", "--fork", "--kill-child"]
        command = [*apart, "bash", "-c", ENTER, "enter", script]
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, check=False, timeout=120
        )
        assert not check or done.returncode == 0, done.stdout + done.stderr
        return done
