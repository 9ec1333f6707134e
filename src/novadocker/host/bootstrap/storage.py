# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""Where dockerd keeps images and servers' disks: btrfs, whose quotas hold a server to its flavor."""

from novadocker import run
from novadocker.host import mounts
from novadocker.host.services.model import Cloud


def mount(cloud: Cloud) -> bool:
    """Make the file with the file system (sparse: it takes what is used) and mount it."""
    folder = cloud.layout.data / "docker"
    point, file = folder / "storage", folder / "storage.btrfs"
    if mounts.is_mounted(point):
        return False
    point.mkdir(parents=True, exist_ok=True, mode=0o711)
    if not file.exists():
        unfinished = file.with_suffix(".unfinished")
        unfinished.unlink(missing_ok=True)
        share = cloud.split.docker
        size = max(share.disk_gb - share.reserved_disk_gb, 2)
        run.run(["truncate", f"--size={size}G", unfinished])
        run.run(["mkfs.btrfs", "--quiet", unfinished])
        unfinished.rename(file)
    run.run(["mount", "-o", "loop,noatime,user_subvol_rm_allowed", file, point])
    return True


def share_namespaces(cloud: Cloud) -> bool:
    """Make the folder of the agent's network namespaces a shared mount; see services/neutron.py."""
    folder = cloud.layout.run / "netns"
    if mounts.is_mounted(folder):
        return False
    folder.mkdir(parents=True, exist_ok=True)
    run.run(["mount", "--bind", folder, folder])
    run.run(["mount", "--make-private", folder])
    run.run(["mount", "--make-shared", folder])
    return True
