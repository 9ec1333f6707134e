#!/usr/bin/env python3
# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""Compare a machine with itself: what came, what went, what changed since a snapshot.

    leftovers.py snapshot FILE [--root DIR] [--run-dir DIR]
    leftovers.py compare FILE [--allow PATH]… [--ignore PATTERN]… [--settle SECONDS]

It looks with the kernel's own eyes (/proc, /sys, ip, tc, the firewall's listings) and shares no code with
what it judges. It ends with code 1 if anything differs.
"""

import argparse
import hashlib
import http.client
import json
import os
import re
import shutil
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

Section = dict[str, str]  # what there is, and what of it may change
# Names that look like ours or like one of the programs a cloud is made of, where everybody may write.
SUSPECT = re.compile(
    r"nova|docker|ndk|neutron|glance|keystone|placement|libvirt|qemu|ovs|ovn|openvswitch|rabbit|erl_|epmd|mysql|maria"
    r"|haproxy|supervis|waitress|containerd|runc",
    re.IGNORECASE,
)
SHARED = ("/tmp", "/var/tmp", "/run", "/var/lib", "/var/log", "/var/cache", "/opt", "/srv")


def processes() -> Section:
    """Every process with its start time, but for the kernel's own, this one, and those above and below it.

    With its command and its control groups.
    """
    stats = dict(_stats())
    above, pid = set(), os.getpid()
    while pid in stats:
        above.add(pid)
        pid = int(stats[pid][1])
    found = {}
    for pid, fields in stats.items():
        kernel_thread = int(fields[6]) & 0x00200000  # PF_KTHREAD
        if kernel_thread or pid in above or _is_below(pid, os.getpid(), stats):
            continue
        command = _read(f"/proc/{pid}/cmdline").replace("\0", " ").strip()[:200]
        name = _read(f"/proc/{pid}/comm").strip() + (" (defunct)" if fields[0] == "Z" else "")
        groups = {line.split(":", 2)[2] for line in _read(f"/proc/{pid}/cgroup").splitlines()} - {"/"}
        found[f"{pid} ({name}), started at tick {fields[19]}"] = " in ".join([command, *sorted(groups)])
    return found


def namespaces() -> Section:
    """Every namespace that a process is in, and the network namespaces with a name."""
    stats = dict(_stats())
    found: Section = {}
    for pid in stats:
        if pid != os.getpid() and not _is_below(pid, os.getpid(), stats):
            for link in _entries(f"/proc/{pid}/ns"):
                try:
                    found[str(link.readlink())] = ""
                except OSError:
                    continue  # the process has gone meanwhile
    return found | {f"net, named {path.name}": "" for path in _entries("/run/netns")}


def interfaces() -> Section:
    """Network interfaces with their kind, master and state, and their queueing disciplines."""
    found = {}
    for link in _json("ip", "-d", "-j", "link"):
        kind = link.get("linkinfo", {}).get("info_kind", "-")
        up = "up" if "UP" in link.get("flags", []) else "down"
        facts = (
            kind,
            link.get("address", "-"),
            f"mtu {link.get('mtu')}",
            f"master {link.get('master', '-')}",
            up,
        )
        found[link["ifname"]] = ", ".join(facts)
    for qdisc in _json("tc", "-j", "qdisc"):
        found[f"{qdisc.get('dev')}: queue {qdisc.get('kind')} at {qdisc.get('parent', 'root')}"] = ""
    return found


def addresses() -> Section:
    """Addresses of the interfaces."""
    return {
        f"{each.get('local')}/{each.get('prefixlen')} on {link['ifname']}": each.get("scope", "")
        for link in _json("ip", "-j", "addr")
        for each in link.get("addr_info", [])
    }


def routes() -> Section:
    """Routes of all tables, rules, and fixed neighbours, for IPv4 and IPv6."""
    found: Section = {}
    for family in ("-4", "-6"):
        for what in (["route", "show", "table", "all"], ["rule"], ["neigh", "show", "nud", "permanent"]):
            for line in _run("ip", family, *what).splitlines():
                kind = "" if what[0] == "route" else f"{what[0]} "
                found[f"{family} {kind}" + re.sub(r"\s+(expires|used) \S+", "", line).strip()] = ""
    return found


def firewall() -> Section:
    """Firewall rules, and chains that do not let everything pass; empty tables count for nothing."""
    found: Section = {}
    for listed in (_json("nft", "-s", "-j", "list", "ruleset") or {"nftables": []})["nftables"]:
        for kind, value in listed.items():
            if kind in ("rule", "set", "map") or (
                kind == "chain" and value.get("policy", "accept") != "accept"
            ):
                value.pop("handle", None)
                found[f"nft {kind} {json.dumps(value, sort_keys=True)}"] = ""
    for program in ("iptables", "iptables-legacy", "ip6tables", "ip6tables-legacy", "ebtables"):
        table = ""
        for line in _run(f"{program}-save").splitlines():
            rule = re.sub(r"^\[\d+:\d+\] ", "", line)
            if line.startswith("*"):
                table = line[1:]
            elif line.startswith(":"):
                chain, policy = line[1:].split()[:2]
                if policy != "ACCEPT":
                    found[f"{program} -t {table} chain {chain}"] = policy
            elif line and not line.startswith(("#", "COMMIT")):
                found[f"{program} -t {table} {rule}"] = ""
    return found


def settings() -> Section:
    """Kernel settings that concern the network or that clouds like to turn."""
    found: Section = {}
    for folder in (
        "net/ipv4",
        "net/ipv6",
        "net/bridge",
        "net/core",
        "net/netfilter",
        "fs/inotify",
        "kernel/keys",
    ):
        for path in _walk(Path("/proc/sys") / folder):
            # Counts and caches are no settings; what an interface brings along goes with it.
            if not path.is_dir() and not re.search(
                r"_count$|/neigh/|/conf/(?!all/|default/)|stable_secret", str(path)
            ):
                found[str(path).removeprefix("/proc/sys/").replace("/", ".")] = _read(path).strip()
    for name in (
        "vm/nr_hugepages",
        "vm/overcommit_memory",
        "vm/swappiness",
        "kernel/core_pattern",
        "fs/aio-max-nr",
    ):
        found[name.replace("/", ".")] = _read(f"/proc/sys/{name}").strip()
    return found


def mounts() -> Section:
    """Mounts of this mount namespace, and block devices that stand on files or on other devices."""
    found: Section = {}
    for line in _read("/proc/self/mountinfo").splitlines():
        left, right = line.split(" - ")
        inner, point = left.split()[3:5]
        kind, source = right.split()[:2]
        found[f"{point} ({kind} {source} {inner})"] = ""
    for path in _entries("/sys/block"):
        if backing := _read(path / "loop/backing_file").strip() or _read(path / "dm/name").strip():
            found[f"block device {path.name}"] = backing
    return found


def cgroups() -> Section:
    """Control groups of every hierarchy."""
    found: Section = {}
    for line in _read("/proc/self/mountinfo").splitlines():
        if re.search(r" - cgroup2? ", line):
            found |= {str(path): "" for path in _walk(Path(line.split()[4])) if path.is_dir()}
    return found


def sockets() -> Section:
    """Sockets that wait for somebody: TCP, UDP and raw addresses, unix paths."""
    found: Section = {}
    for name in ("tcp", "tcp6", "udp", "udp6", "raw", "raw6"):
        for line in _read(f"/proc/net/{name}").splitlines()[1:]:
            fields = line.split()
            if fields[3] == ("0A" if name.startswith("tcp") else "07"):
                found[f"{name} {_address(fields[1])}"] = ""
    for line in _read("/proc/net/unix").splitlines()[1:]:
        fields = line.split(maxsplit=7)
        if len(fields) == 8 and int(fields[3], 16) & 0x10000:  # SO_ACCEPTCON
            found[f"unix {fields[7]}"] = ""
    return found


def servers() -> Section:
    """Containers, images and volumes of every dockerd, domains, networks and filters of every libvirtd."""
    found: Section = {}
    for path in [key.removeprefix("unix ") for key in sockets() if key.startswith("unix /")]:
        if re.search(r"docker[^/]*\.sock$", path):
            for what, name in (
                ("containers/json?all=1", "Names"),
                ("images/json", "RepoTags"),
                ("volumes", "Name"),
            ):
                answer = _docker(path, what)
                for each in (answer.get("Volumes") if isinstance(answer, dict) else answer) or []:
                    found[f"{path}: {what.split('/')[0]} {each.get('Id', '')[:19]} {each.get(name)}"] = ""
        elif path.endswith("libvirt-sock"):
            for what in (["list", "--all", "--name"], ["net-list", "--all", "--name"], ["nwfilter-list"]):
                for line in _run("virsh", "-c", f"qemu+unix:///system?socket={path}", *what).splitlines():
                    if line.strip() and not line.startswith((" UUID", "---")):
                        found[f"{path}: {what[0]} {line.strip()}"] = ""
    return found


def memory() -> Section:
    """Shared memory, semaphores and message queues."""
    found: Section = {f"/dev/shm/{path.name}": "" for path in _entries("/dev/shm")}
    for kind in ("shm", "sem", "msg"):
        for line in _read(f"/proc/sysvipc/{kind}").splitlines()[1:]:
            found[f"{kind} key {line.split()[0]} id {line.split()[1]}"] = ""
    return found


def files(root: Path, run_dir: Path) -> Section:
    """All under the two folders, in /etc and in the user's settings, and suspects in shared folders."""
    home = Path.home()
    found: Section = {str(path): "" for top in (root, run_dir) if top.exists() for path in [top, *_walk(top)]}
    for top in (Path("/etc"), home / ".config", home / ".docker", home / ".erlang.cookie"):
        found |= {
            str(path): _content(path) for path in [top, *_walk(top)] if path.is_symlink() or path.exists()
        }
    for top in (*SHARED, str(home)):
        for path in _entries(top):
            if SUSPECT.search(path.name):
                found[str(path)] = ""
                if top != "/tmp" and path.is_dir() and not path.is_symlink() and not path.is_mount():
                    found |= {str(inner): "" for inner in _entries(path)}
    return found


def look(root: Path, run_dir: Path) -> dict[str, Section]:
    """The machine as it is, section by section."""
    sections: dict[str, Callable[[], Section]] = {
        "process": processes,
        "namespace": namespaces,
        "interface": interfaces,
        "address": addresses,
        "route": routes,
        "firewall": firewall,
        "kernel setting": settings,
        "mount": mounts,
        "cgroup": cgroups,
        "listening socket": sockets,
        "server": servers,
        "shared memory": memory,
        "file": lambda: files(root, run_dir),
    }
    return {name: section() for name, section in sections.items()}


def strangers(then: Section, now: Section) -> set[str]:
    """Control groups that came or went below one that stayed, and that no program of a cloud's would name so.

    They are of whoever else works on the machine; what a cloud makes is at the top or bears such a name.
    """
    return {
        path
        for path in then.keys() ^ now.keys()
        if str(Path(path).parent) in then.keys() & now.keys() and not SUSPECT.search(path)
    }


def without(section: Section, groups: set[str]) -> Section:
    """The section without these control groups, and without the processes in them."""
    return {
        key: value
        for key, value in section.items()
        if key not in groups
        and not any(path.endswith(own) for own in value.split(" in ")[1:] for path in groups)
    }


def differences(before: dict[str, Section], after: dict[str, Section]) -> list[str]:
    """One line for each thing that is there only now, was there only then, or is not the same."""
    lines = []
    others = strangers(before["cgroup"], after["cgroup"])
    for name in before:
        then, now = before[name], after[name]
        if name in ("cgroup", "process"):
            then, now = without(then, others), without(now, others)
        lines += [f"left behind: {name} {_shown(key, now[key])}" for key in sorted(now.keys() - then.keys())]
        lines += [f"gone: {name} {_shown(key, then[key])}" for key in sorted(then.keys() - now.keys())]
        lines += [
            f"changed: {name} {key} [{then[key]} → {now[key]}]"
            for key in sorted(then.keys() & now.keys())
            if then[key] != now[key]
        ]
    return lines


def _shown(key: str, value: str) -> str:
    return f"{key} [{value}]" if value else key


def _stats() -> Iterator[tuple[int, list[str]]]:
    """The fields of /proc/PID/stat after the name, for every process (proc(5): state, parent, …)."""
    for path in _entries("/proc"):
        if path.name.isdigit() and (stat := _read(path / "stat")):
            yield int(path.name), stat.rpartition(")")[2].split()


def _is_below(pid: int, top: int, stats: dict[int, list[str]]) -> bool:
    while pid in stats:
        pid = int(stats[pid][1])
        if pid == top:
            return True
    return False


def _entries(folder: str | Path) -> list[Path]:
    try:
        return sorted(Path(folder).iterdir())
    except OSError:
        return []


def _walk(top: Path) -> Iterator[Path]:
    for path in _entries(top):
        yield path
        if path.is_dir() and not path.is_symlink():
            yield from _walk(path)


def _read(path: str | Path) -> str:
    try:
        return Path(path).read_text(errors="replace")
    except OSError:
        return ""


def _content(path: Path) -> str:
    """A mark of what a file holds or where a link leads."""
    if path.is_symlink():
        return f"link to {path.readlink()}"
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16] if path.is_file() else ""


def _run(*command: str) -> str:
    """What a program prints; nothing where it is missing or the kernel lacks what it lists."""
    if not shutil.which(command[0]):
        return ""
    return subprocess.run(command, check=False, capture_output=True, text=True, timeout=60).stdout


def _json(*command: str) -> Any:
    return json.loads(_run(*command) or "[]")


def _address(text: str) -> str:
    """An address as /proc/net writes it: hexadecimal words in the machine's byte order."""
    host, port = text.split(":")
    packed = b"".join(struct.pack("=I", int(host[at : at + 8], 16)) for at in range(0, len(host), 8))
    family = socket.AF_INET if len(packed) == 4 else socket.AF_INET6
    return f"{socket.inet_ntop(family, packed)} port {int(port, 16)}"


def _docker(path: str, what: str) -> Any:
    """An answer of the Docker API on a unix socket; nothing if nobody answers."""
    connection = http.client.HTTPConnection("docker", timeout=10)
    connection.sock = socket.socket(socket.AF_UNIX)
    connection.sock.settimeout(10)
    try:
        connection.sock.connect(path)
        connection.request("GET", f"/{what}")
        return json.loads(connection.getresponse().read())
    except (OSError, http.client.HTTPException, json.JSONDecodeError):
        return []
    finally:
        connection.close()


def main() -> int:
    """Take a snapshot, or compare with one."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("verb", choices=("snapshot", "compare"))
    parser.add_argument("file", type=Path)
    parser.add_argument("--root", type=Path, default=Path("/var/lib/nova-docker"))
    parser.add_argument("--run-dir", type=Path, default=Path("/run/nova-docker"))
    parser.add_argument("--allow", action="append", default=[], help="a path that may differ, with all in it")
    parser.add_argument("--ignore", action="append", default=[], help="a pattern; what matches is not told")
    parser.add_argument("--settle", type=float, default=0, help="seconds the kernel may take to tidy up")
    options = parser.parse_args()
    if options.verb == "snapshot":
        options.file.write_text(json.dumps(look(options.root, options.run_dir), indent=1))
        return 0
    before = json.loads(options.file.read_text())
    ignored = [
        rf"^[a-z ]+: file {re.escape(path.rstrip('/'))}(/|$| \[)" for path in options.allow
    ] + options.ignore
    deadline = time.monotonic() + options.settle
    while True:
        after = look(options.root, options.run_dir)
        told = [
            line for line in differences(before, after) if not any(re.search(each, line) for each in ignored)
        ]
        if not told or time.monotonic() > deadline:
            break
        time.sleep(0.5)
    print("\n".join(told) or f"Nothing left behind: {sum(map(len, after.values()))} things compared.")
    return 1 if told else 0


if __name__ == "__main__":
    sys.exit(main())
