# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""libvirtd and virtlogd: private ones, in a mount namespace where the system's folders are their own."""

from novadocker.host.services.model import Cloud, ConfigFile, Folder, Service, Socket

# What libvirt 9 finds by fixed path. Each is covered by a folder of ours, for these two processes and QEMU
# alone.
COVERED = {
    "/etc/libvirt": "etc/libvirt",
    "/var/lib/libvirt": "data/libvirt",
    "/var/cache/libvirt": "data/libvirt-cache",
    "/var/log/libvirt": "log/libvirt",
}


def _covers(cloud: Cloud) -> tuple[str, ...]:
    layout = cloud.layout
    lines = ["mkdir -p /etc/libvirt /var/lib/libvirt /var/cache/libvirt /var/log/libvirt /run/libvirt"]
    lines += [f"mount --bind {layout.root / ours} {theirs}" for theirs, ours in COVERED.items()]
    lines.append(f"mount --bind {layout.run / 'libvirt'} /run/libvirt")
    # libvirt names its hypervisor by what its own name resolves to; Nova refuses a hypervisor that was
    # renamed.
    names = layout.etc / "libvirt" / "hosts"
    lines += [f"hostname {cloud.hostname}", f"mount --bind {names} /etc/hosts"]
    # Memory plugged in by virtio-mem is missing from the node's figure, which libvirt believes, but not
    # from the machine's (seen: 11 of 24 GB). With one node the two are the same thing.
    node = "/sys/devices/system/node"
    figure = layout.run / "libvirt" / "node-meminfo"
    lines.append(
        f"if [ -e {node}/node0/meminfo ] && [ ! -e {node}/node1 ]; then "
        f"sed -n 's/^Mem/Node 0 Mem/p' /proc/meminfo > {figure}; "
        f"mount --bind {figure} {node}/node0/meminfo; fi"
    )
    # libvirt would put domains into /machine of the host's cgroups: without them they stay in ours.
    lines.append("umount -l /sys/fs/cgroup 2>/dev/null || true")
    if not cloud.kvm:
        # libvirt asks whether QEMU's user may open the device, and where it may but QEMU finds it of no use,
        # probes anew for seconds at every start of a domain. What nobody may open is not asked again.
        closed = layout.run / "libvirt" / "no-kvm"
        lines.append(
            f"if [ -e /dev/kvm ]; then : > {closed}; chmod 000 {closed}; mount --bind {closed} /dev/kvm; fi"
        )
    return tuple(lines)


def virtlogd(cloud: Cloud) -> Service:
    """The keeper of the VMs' console logs."""
    layout = cloud.layout
    return Service(
        name="virtlogd",
        command=("/usr/sbin/virtlogd", "-f", "/etc/libvirt/virtlogd.conf", "-p", "/run/libvirt/virtlogd.pid"),
        mounts="slave",
        own_hostname=True,
        # libvirt keeps the log of a domain that is gone for ever; this version of virtlogd knows no age.
        prepare=(
            *_covers(cloud),
            f"find {layout.logs}/libvirt/qemu -name '*.log*' -mtime +30 -delete || true",
        ),
        files=(
            ConfigFile(
                path=layout.etc / "libvirt" / "virtlogd.conf",
                content="log_level = 3\nmax_size = 1048576\nmax_backups = 1\n",
            ),
            _hosts(cloud),
        ),
        folders=_folders(cloud),
        ready=Socket(layout.run / "libvirt" / "virtlogd-sock"),
    )


def libvirtd(cloud: Cloud) -> Service:
    """The daemon of the VM hypervisor."""
    layout = cloud.layout
    etc = layout.etc / "libvirt"
    return Service(
        name="libvirtd",
        needs=("virtlogd",),
        command=("/usr/sbin/libvirtd", "-f", "/etc/libvirt/libvirtd.conf", "-p", "/run/libvirt/libvirtd.pid"),
        mounts="slave",
        own_hostname=True,
        prepare=_covers(cloud),
        files=(
            ConfigFile(
                path=etc / "libvirtd.conf",
                content='unix_sock_dir = "/run/libvirt"\nauth_unix_rw = "none"\nunix_sock_rw_perms = "0700"\n'
                "log_level = 3\n",
            ),
            ConfigFile(
                path=etc / "qemu.conf",
                content='stdio_handler = "logd"\nsecurity_driver = "none"\ncgroup_controllers = []\n'
                'namespaces = []\nuser = "libvirt-qemu"\ngroup = "kvm"\nremember_owner = 0\n',
            ),
            _hosts(cloud),
            *_hook(cloud),
        ),
        folders=_folders(cloud),
        ready=Socket(layout.libvirt_socket),
        notifies="main",
        outlives=("qemu-system-x86_64",),
    )


def _hook(cloud: Cloud) -> tuple[ConfigFile, ...]:
    # With OVN libvirt makes the ports itself; see fresh_ports.
    if cloud.config.network_backend != "ovs" or cloud.datapath != "netdev":
        return ()
    text = (
        "#!/bin/sh\n# What libvirt calls at every step of a domain (libvirt.org/hooks.html).\n"
        '[ "$2" = stopped ] || exit 0\n'
        f"exec {cloud.bin('python')} -P -m novadocker.host.fresh_ports {cloud.layout.ovs_socket}\n"
    )
    return (ConfigFile(path=cloud.layout.etc / "libvirt" / "hooks" / "qemu", content=text, mode=0o755),)


def _hosts(cloud: Cloud) -> ConfigFile:
    return ConfigFile(
        path=cloud.layout.etc / "libvirt" / "hosts",
        content=f"127.0.0.1 localhost\n127.0.1.1 {cloud.hostname}\n::1 localhost\n",
        mode=0o644,
    )


def _folders(cloud: Cloud) -> tuple[Folder, ...]:
    layout = cloud.layout
    return (
        *(Folder(path=layout.root / ours, mode=0o755) for ours in COVERED.values()),
        Folder(path=layout.run / "libvirt", mode=0o755),
    )
