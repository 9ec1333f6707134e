# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""containerd and dockerd: private ones, without bridge and firewall, on storage that keeps to sizes."""

import json
from pathlib import Path

from novadocker import oci_runtime
from novadocker.host.services.model import Cloud, Command, ConfigFile, Folder, Service, Socket


def start_gates(cloud: Cloud) -> Path:
    """Where a server's process waits until its network works."""
    return cloud.layout.run / "docker" / "gates"


def namespaces(cloud: Cloud) -> Path:
    """Where servers' namespaces are kept; containers' links to them outlive a reboot."""
    return cloud.layout.data / "docker" / "namespaces"


def containerd(cloud: Cloud) -> Service:
    """dockerd's runtime; a dockerd left to itself joins the system's where there is one."""
    layout = cloud.layout
    settings, run = layout.etc / "docker" / "containerd.toml", layout.run / "containerd"
    return Service(
        name="containerd",
        needs=("docker-storage",),
        command=("/usr/bin/containerd", "--config", str(settings), "--log-level", "warn"),
        files=(
            ConfigFile(
                path=settings,
                content=f'version = 2\nroot = "{layout.data}/docker/containerd"\nstate = "{run}/state"\n'
                'disabled_plugins = ["io.containerd.grpc.v1.cri", "io.containerd.snapshotter.v1.btrfs",'
                ' "io.containerd.snapshotter.v1.zfs", "io.containerd.snapshotter.v1.devmapper",'
                ' "io.containerd.snapshotter.v1.aufs", "io.containerd.internal.v1.opt"]\n'
                f'[grpc]\naddress = "{run}/containerd.sock"\n'
                # Shims put their sockets below this folder instead of /run/containerd.
                f'[ttrpc]\naddress = "{run}/containerd.sock.ttrpc"\n',
            ),
        ),
        folders=(Folder(path=run, mode=0o711), Folder(path=layout.data / "docker", mode=0o711)),
        ready=Socket(run / "containerd.sock"),
        notifies="main",
        oom_score=-999,
        outlives=("containerd-shim-runc-v2", "containerd-shim"),
    )


def docker(cloud: Cloud) -> Service:
    """The daemon of the docker hypervisor."""
    layout = cloud.layout
    place = layout.etc / "docker"
    settings, runtime, sandboxes = place / "daemon.json", place / "runtime", place / "sandbox-runtime"
    return Service(
        name="dockerd",
        needs=("docker-storage", "containerd"),
        # Told to have no bridge, dockerd removes the machine's docker0, whoever's it is (daemon_unix.go,
        # removeDefaultBridgeInterface). Where it runs there is none: the driver wires the servers.
        own_network=True,
        command=("/usr/sbin/dockerd", f"--config-file={settings}"),
        files=(
            ConfigFile(
                path=settings,
                content=json.dumps(
                    {
                        "hosts": [f"unix://{layout.docker_socket}"],
                        "group": "root",
                        "containerd": str(layout.run / "containerd" / "containerd.sock"),
                        "data-root": str(layout.data / "docker" / "storage"),
                        "exec-root": str(layout.run / "docker" / "exec"),
                        "pidfile": str(layout.run / "docker" / "dockerd.pid"),
                        "bridge": "none",
                        "iptables": False,
                        "ip6tables": False,
                        "ip-forward": False,
                        "userns-remap": cloud.config.user,
                        "storage-driver": "btrfs",
                        # Servers go on while their daemon restarts.
                        "live-restore": True,
                        "cgroup-parent": f"/{cloud.config.name}/servers",
                        "exec-opts": ["native.cgroupdriver=cgroupfs"],
                        "runtimes": {
                            oci_runtime.NAME: {"path": str(runtime)},
                            oci_runtime.SANDBOXES: {"path": str(sandboxes)},
                        },
                        "default-runtime": oci_runtime.NAME,
                        "log-level": "warn",
                    },
                    indent=1,
                )
                + "\n",
            ),
            ConfigFile(
                path=runtime,
                # A copy: where the environment lies is no business of the containers'.
                content=oci_runtime.program(gates=str(start_gates(cloud)), namespaces=str(namespaces(cloud))),
                mode=0o755,
            ),
            ConfigFile(path=sandboxes, content=oci_runtime.sandbox_program(), mode=0o755),
        ),
        folders=(Folder(path=layout.run / "docker", mode=0o755),),
        ready=Command(
            ("docker", "-H", f"unix://{layout.docker_socket}", "version", "-f", "{{.Server.Version}}")
        ),
        notifies="main",
        oom_score=-500,
        stop_seconds=15,
    )
