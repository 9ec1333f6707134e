# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""A machine whose PID 1 is systemd: namespaces of its own, and a root that is a layer over this machine's.

What it writes is kept over a reboot and gone with it. Debian's packages and the Python environment are those
of this machine; none of its enabled services starts there, and nothing of its clouds is seen.
"""

import contextlib
import os
import secrets
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from novadocker import poll
from novadocker.host import cgroups, mounts

# Folders that are the machine's own from the beginning: empty, whatever this machine has there.
_OWN = (
    "etc/systemd/system", "etc/openstack", "etc/nova-docker", "etc/libvirt", "root", "var/log", "var/tmp",
    "var/lib/docker", "var/lib/libvirt", "var/lib/nova-docker", "var/lib/systemd",
)  # fmt: skip
_DEVICES = {
    "null": "c 1 3", "zero": "c 1 5", "full": "c 1 7", "random": "c 1 8", "urandom": "c 1 9", "tty": "c 5 0",
    "fuse": "c 10 229", "net/tun": "c 10 200", "loop-control": "c 10 237", "btrfs-control": "c 10 234",
    **{f"loop{number}": f"b 7 {number}" for number in range(128)},
}  # fmt: skip

# Run in the new namespaces: makes the root, and becomes systemd. A machine's own propagation is "shared", as
# systemd makes it where it boots itself.
_BOOT = """
set -e
place=$1 name=$2
root=$place/root
mount --make-rprivate /
mount -t overlay -o "lowerdir=/,upperdir=$place/upper,workdir=$place/work" overlay "$root"
for shown in $SHOWN; do mkdir -p "$root$shown"; mount --bind "$shown" "$root$shown"; done
mount -t proc proc "$root/proc"
mount -t sysfs sysfs "$root/sys"
mount -t tmpfs -o mode=755 tmpfs "$root/run"
mount -t tmpfs -o mode=1777 tmpfs "$root/tmp"
for shown in $SHOWN_TMP; do mkdir -p "$root$shown"; mount --bind "$shown" "$root$shown"; done
mount -t tmpfs -o mode=755 tmpfs "$root/dev"
mkdir "$root/dev/pts" "$root/dev/shm" "$root/dev/net"
mount -t devpts -o newinstance,ptmxmode=0666,mode=620 devpts "$root/dev/pts"
mount -t tmpfs tmpfs "$root/dev/shm"
ln -s pts/ptmx "$root/dev/ptmx"
ln -s /proc/self/fd "$root/dev/fd"
for number in 0:stdin 1:stdout 2:stderr; do ln -s "fd/${number%:*}" "$root/dev/${number#*:}"; done
echo "$DEVICES" | while read -r device kind major minor; do
    mknod -m 666 "$root/dev/$device" "$kind" "$major" "$minor"
done
if [ -n "$FIRST_VERSION" ]; then
    mount -t tmpfs -o mode=755 tmpfs "$root/sys/fs/cgroup"
    for each in $FIRST_VERSION; do
        mkdir "$root/sys/fs/cgroup/$each"
        if [ $each = systemd ]; then kind=none,name=systemd; else kind=$each; fi
        mount -t cgroup -o $kind cgroup "$root/sys/fs/cgroup/$each"
    done
    mkdir "$root/sys/fs/cgroup/unified"
    mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup/unified"
else
    mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup"
fi
hostname "$name"
echo "127.0.0.1 localhost $name" > "$root/etc/hosts"
echo "$name" > "$root/etc/hostname"
cd "$root"
mkdir run/before
pivot_root . run/before
exec chroot . /bin/sh -c 'umount -l /run/before && rmdir /run/before && mount --make-rshared / &&
    exec env -i container=other PATH=/usr/sbin:/usr/bin:/sbin:/bin /lib/systemd/systemd --log-target=journal'
"""


class Machine:
    """The machine, switched on and off as one likes."""

    def __init__(self, place: Path) -> None:
        self._place = place
        self._name = place.name
        self._mounted = cgroups.hierarchies()
        self._outer: subprocess.Popen[bytes] | None = None
        self._pid = 0
        for folder in ("upper", "work", "root"):
            (place / folder).mkdir()
        for folder in _OWN:
            own = place / "upper" / folder
            own.mkdir(parents=True)
            os.setxattr(own, "trusted.overlay.opaque", b"y")
        (place / "upper" / "etc" / "systemd" / "system").chmod(0o755)

    @property
    def upper(self) -> Path:
        """What it has written, seen from outside while it is off."""
        return self._place / "upper"

    @property
    def pid(self) -> int:
        """Its PID 1, as this machine counts."""
        return self._pid

    def boot(self, *, seconds: float = 90) -> None:
        """Switch it on, and wait until systemd answers; what it starts may be under way."""
        for mount in self._mounted.mounts:
            group = mount / self._name
            group.mkdir(exist_ok=True)
            for inherited in ("cpuset.cpus", "cpuset.mems"):
                if (mount / inherited).is_file() and (group / inherited).is_file():
                    (group / inherited).write_text((mount / inherited).read_text())
        enter = "".join(f"echo $$ > {mount / self._name}/cgroup.procs; " for mount in self._mounted.mounts)
        spaces = [
            "unshare",
            "--mount",
            "--pid",
            "--uts",
            "--ipc",
            "--net",
            "--cgroup",
            "--fork",
            "--kill-child",
        ]
        with (self._place / "boot.log").open("ab") as out:
            self._outer = subprocess.Popen(
                ["sh", "-ec", enter + 'exec "$@"', "sh", *spaces,
                 "sh", "-c", _BOOT, "boot", self._place, self._name],
                stdin=subprocess.DEVNULL, stdout=out, stderr=out, env={**os.environ, **self._facts()},
            )  # fmt: skip
        self._pid = poll_child(self._outer)
        well = ("running", "degraded", "starting")
        poll.until(
            lambda: None if self.says("systemctl", "is-system-running") in well else self.last_words(),
            why="systemd's start",
            seconds=seconds,
            pause=0.1,
        )

    def reboot(self) -> None:
        """Have systemd shut the machine down, as reboot(8) does, and switch it on again."""
        self.run("systemctl", "--no-block", "reboot", check=False)
        assert self._outer is not None
        self._outer.wait(180)
        self._ended()
        self.boot()

    def off(self) -> None:
        """Pull its plug."""
        if self._outer is not None:
            self._outer.kill()  # and with it its child, PID 1
            self._outer.wait(30)
            self._ended()

    def _ended(self) -> None:
        self._outer = None
        for mount in self._mounted.mounts:
            cgroups.kill(cgroups.Hierarchies(mounts=(mount,), follow=mount), name=self._name, seconds=30)
        cgroups.remove(self._mounted, name=self._name)

    def run(
        self, *words: str | Path, check: bool = True, seconds: float = 120
    ) -> "subprocess.CompletedProcess[str]":
        """Run a command there."""
        inside = ["--mount", "--pid", "--uts", "--ipc", "--net", "--cgroup", "--root", "--wd"]
        done = subprocess.run(
            ["nsenter", f"--target={self._pid}", *inside, "--", "env", "-i", "HOME=/root", "LC_ALL=C.UTF-8",
             "PATH=/usr/sbin:/usr/bin:/sbin:/bin", *map(str, words)],
            capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=seconds, check=False,
        )  # fmt: skip
        if check and done.returncode != 0:
            raise AssertionError(f"{words} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}")
        return done

    def as_unit(
        self, *words: str | Path, check: bool = True, seconds: float = 300
    ) -> "subprocess.CompletedProcess[str]":
        """Run a command there in a control group of its own, as a session of a user's would have one."""
        run = ["systemd-run", "--quiet", "--pipe", "--wait", "--collect", "--setenv=HOME=/root",
               "--setenv=LC_ALL=C.UTF-8"]  # fmt: skip
        return self.run(*run, "--", *words, check=check, seconds=seconds)

    def put(self, folder: Path, at: str) -> None:
        """Copy a folder into it."""
        shutil.copytree(folder, Path(f"/proc/{self._pid}/root{at}"))

    def says(self, *words: str | Path) -> str:
        """What a command there writes, however it ends."""
        return self.run(*words, check=False).stdout.strip()

    def last_words(self) -> str:
        """What there is to read when something went wrong."""
        boot = (self._place / "boot.log").read_text(errors="replace")[-2000:]
        return boot + self.says("journalctl", "--no-pager", "--lines=40", "--output=cat")

    def _facts(self) -> Mapping[str, str]:
        first = [mount.name for mount in self._mounted.mounts if (mount / "notify_on_release").exists()]
        # The environment may lie in another file system than the root, which the layer does not reach into.
        shown = dict.fromkeys(map(str, (Path(__file__).parents[2], Path(sys.prefix), Path(sys.base_prefix))))
        apart = [path for path in shown if Path(path).stat().st_dev != Path("/").stat().st_dev]
        devices = dict(_DEVICES)
        if Path("/dev/kvm").exists():
            devices["kvm"] = "c 10 232"
        return {
            "FIRST_VERSION": " ".join(first),
            "SHOWN": " ".join(path for path in apart if not path.startswith("/tmp/")),
            "SHOWN_TMP": " ".join(path for path in shown if path.startswith("/tmp/")),
            "DEVICES": "\n".join(f"{name} {numbers}" for name, numbers in devices.items()),
        }


def poll_child(outer: "subprocess.Popen[bytes]") -> int:
    """The first child of a process, as soon as there is one."""
    children = Path(f"/proc/{outer.pid}/task/{outer.pid}/children")

    def none_yet() -> str | None:
        assert outer.poll() is None, "the namespaces could not be made"
        return None if children.read_text().split() else "no child"

    poll.until(none_yet, why="PID 1 of the machine", seconds=10, pause=0.02)
    return int(children.read_text().split()[0])


@contextlib.contextmanager
def machine() -> Iterator[Machine]:
    """A machine that is on, and gone with all it wrote afterwards."""
    place = Path("/var/tmp") / f"ndk-systemd-{secrets.token_hex(3)}"
    place.mkdir(mode=0o755)
    made = Machine(place)
    try:
        made.boot()
        yield made
    finally:
        made.off()
        mounts.detach_loops(place)
        shutil.rmtree(place)


if __name__ == "__main__":
    with machine() as found:
        input(f"nsenter --target={found._pid} --all; Return switches it off. ")
