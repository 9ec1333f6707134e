# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""Root of a container sees and changes nothing of the host's, nor of another server's.

What is tried runs inside, as root of the container with the capabilities of a server's own process.
"""

import os
import re
import socket
from pathlib import Path

import pytest
from tests.e2e import inside
from tests.e2e.cloud import CONTAINER

NAMESPACES = ("ipc", "mnt", "net", "pid", "user", "uts")


@pytest.fixture(scope="module")
def prisoner(cloud, root_image):
    with cloud.server("e2e-isolation", root_image) as asked:
        server = cloud.settled(asked)
        assert server.status == "ACTIVE", server.fault
        yield server


@pytest.fixture(scope="module")
def tries(cloud, prisoner):
    """Run a script in the server; its output, whatever its end."""
    return lambda script: inside.run(cloud, prisoner.id, script, check=False).stdout


def test_root_is_nobody_outside(tries):
    status = dict(line.split(":\t", 1) for line in tries("cat /proc/self/status").splitlines())
    first, outside, size = map(int, tries("cat /proc/self/uid_map").split())
    assert (first, size) == (0, 65536)
    assert outside >= 65536
    assert (status["NoNewPrivs"], status["Seccomp"]) == ("1", "2")
    # chown, dac_override, fowner, fsetid, kill, setgid, setuid, net_bind_service, net_raw, sys_chroot
    kept = sum(1 << bit for bit in (0, 1, 3, 4, 5, 6, 7, 10, 13, 18))
    assert int(status["CapEff"], 16) == int(status["CapBnd"], 16) == kept


@pytest.mark.parametrize(
    ("script", "answer"),
    [
        ("mknod /disk b 7 0", "not permitted"),
        ("mknod /null c 1 3", "not permitted"),
        ("mkdir /m; mount -t tmpfs none /m", "permission denied"),
        ("mount -t proc proc /m", "permission denied"),
        ("mount -o remount,rw /sys", "permission denied"),
        ("umount /proc/keys", "not permitted"),
        ("unshare -U true", "not permitted"),
        ("unshare -m true", "not permitted"),
        ("nsenter -t 1 -n true", "not permitted"),
        ("insmod /bin/busybox", "not permitted"),
        ("dmesg", "not permitted"),
        ("hostname other", "not permitted"),
        ("date -s 2020-01-01", "not permitted"),
        ("ulimit -Hn 99999999", "not permitted"),
        ("reboot -f", "not permitted"),
        ("swapoff -a; swapon /bin/busybox", "not permitted"),
        ("ip link set eth0 down", "not permitted"),
        ("ip address add 10.99.0.1/24 dev eth0", "not permitted"),
        ("chroot / true && echo fine", "fine"),
        ("echo 1 >/proc/sys/kernel/panic", "Read-only"),
        ("echo 1 >/proc/sys/net/ipv4/ip_forward", "Read-only"),
        ("echo b >/proc/sysrq-trigger", "nonexistent|Read-only|denied"),
        ("echo 1 >/sys/kernel/mm/ksm/run", "Read-only|nonexistent"),
        ("echo 1 >/sys/fs/cgroup/memory/memory.limit_in_bytes", "denied|Read-only"),
        ("mkdir /sys/fs/cgroup/memory/mine", "denied|Read-only"),
        ("cat /proc/kmsg", "denied|not permitted"),
        ("cat /dev/mem", "can't open"),
        ("ls /dev/vda /dev/loop0 /dev/kvm /dev/net/tun /dev/fuse", "(?s)(No such file.*){5}"),
        ("echo evil >/etc/hosts", "Read-only"),
        ("echo evil >/etc/resolv.conf", "Read-only"),
        ("echo evil >/etc/hostname", "Read-only"),
    ],
)
def test_what_is_refused(tries, script, answer):
    said = tries(script)
    assert re.search(answer, said, re.IGNORECASE), said


def test_what_is_masked_is_empty(tries):
    for place in ("/proc/keys", "/proc/timer_list", "/proc/kcore"):
        assert re.sub(
            "cat: .*No such file.*\n", "", tries(f"head -c 100 {place}; cat {place} | wc -c")
        ).strip()[-1:] in ("0", "")
    assert tries("ls /sys/firmware /proc/acpi").split() == ["/proc/acpi:", "/sys/firmware:"]
    # Addresses of the kernel are hidden.
    assert {line.split()[0].strip("0") for line in tries("head -3 /proc/kallsyms").splitlines()} == {""}


def test_no_file_of_the_host_s(cloud, tries, prisoner):
    marker = cloud.root / "data" / "only-here"
    marker.write_text("the host's")
    try:
        for path in (marker, cloud.run_dir / "docker" / "docker.sock", cloud.run_dir / "ovs" / "db.sock"):
            assert path.exists()
            assert tries(f"ls {path}; ls /proc/1/root{path}").count("No such file") == 2
    finally:
        marker.unlink()
    mounted = [line.split() for line in tries("cat /proc/self/mountinfo").splitlines()]
    kinds = {line[4]: (line[line.index("-") + 1], line[5].split(",")) for line in mounted}
    real = {
        place: options
        for place, (kind, options) in kinds.items()
        if kind in ("btrfs", "ext4", "xfs", "overlay")
    }
    ours = {"/etc/hosts", "/etc/hostname", "/etc/resolv.conf"}
    assert set(real) - {"/sbin/docker-init", "/dev/init"} == {"/", *ours}
    assert all("ro" in real[place] for place in ours)
    assert "ro" in kinds["/sys"][1]


def test_no_process_but_its_own(cloud, tries, servers):
    listed = [Path(word).name for word in tries("ls -d /proc/[0-9]*").split()]
    assert len(listed) < 10
    names = tries("cat /proc/[0-9]*/comm")
    assert not set(names.split()) & {
        "dockerd",
        "nova-compute",
        "ovs-vswitchd",
        "containerd",
        "httpd",
        "systemd",
    }
    # Pids of the host and of another server lead nowhere.
    theirs = inside.docker(
        cloud, "inspect", "-f", "{{.State.Pid}}", inside.container(servers[CONTAINER].id)
    ).stdout
    for pid in (os.getpid(), int(theirs)):
        if str(pid) not in listed:
            assert "No such process" in tries(f"kill -0 {pid}")


def test_no_socket_of_the_host_s(cloud, tries):
    # Abstract sockets have no file and belong to a network namespace.
    with socket.socket(socket.AF_UNIX) as abstract:
        abstract.bind("\0nova-docker-e2e")
        assert "@nova-docker-e2e" in Path("/proc/net/unix").read_text()
        assert len(tries("cat /proc/net/unix").splitlines()) == 1
    listening = {
        int(line.split()[1].rpartition(":")[2], 16)
        for line in Path("/proc/net/tcp").read_text().splitlines()[1:]
        if line.split()[3] == "0A"
    }
    assert listening
    ports = " ".join(map(str, sorted(listening)))
    gateway = cloud.connection.network.find_subnet("public-subnet").gateway_ip
    said = tries(
        f"for port in {ports}; do nc -w 1 127.0.0.1 $port </dev/null >/dev/null 2>&1 && echo $port; done; "
        "cat /proc/net/tcp | wc -l"
    )
    assert said.strip() == "1", said
    secret = {
        urlport(url)
        for url in (cloud.connection.compute.get_endpoint(), cloud.connection.network.get_endpoint())
    }
    said = tries(
        "; ".join(f"nc -w 2 {gateway} {port} </dev/null && echo open {port}" for port in sorted(secret))
    )
    assert "open" not in said, said


def urlport(url: str) -> int:
    return int(re.search(r":(\d+)", url.partition("//")[2])[1])


def test_no_network_but_its_ports(cloud, tries, prisoner):
    assert sorted(tries("ls /sys/class/net").split()) == ["eth0", "lo"]
    (port,) = cloud.connection.network.ports(device_id=prisoner.id)
    addresses = re.findall(r"inet (\S+)/", tries("ip -4 address"))
    assert set(addresses) == {"127.0.0.1", port.fixed_ips[0]["ip_address"]}
    assert port.mac_address in tries("ip link show eth0")


def test_no_shared_memory_nor_queue_of_another(cloud, tries, prisoner, servers):
    inside.run(cloud, prisoner.id, "echo mine >/dev/shm/mine")
    other = inside.run(cloud, servers[CONTAINER].id, "ls /dev/shm /dev/mqueue; cat /proc/sysvipc/shm | wc -l")
    assert other.stdout.split() == ["/dev/mqueue:", "/dev/shm:", "1"]
    own = {tries(f"readlink /proc/self/ns/{kind}").strip() for kind in NAMESPACES}
    host = {str(Path(f"/proc/self/ns/{kind}").readlink()) for kind in NAMESPACES}
    theirs = {
        inside.run(cloud, servers[CONTAINER].id, f"ls -l /proc/self/ns/{kind}").stdout.split()[-1]
        for kind in NAMESPACES
    }
    assert len(own) == 6
    assert not own & host
    assert not own & theirs
