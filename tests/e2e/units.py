#!/usr/bin/python3
# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""`systemctl` on a machine without systemd: of a unit it heeds what starts it, and knows Type=notify.

Whether the units are ones that systemd takes is another test's; this one runs what they say.
"""

import os
import pathlib
import shlex
import signal
import socket
import subprocess
import sys
import time

UNITS, HERE = pathlib.Path("/etc/systemd/system"), pathlib.Path("/run/init")


def said(unit: str) -> "dict[str, list[str]]":
    options: dict[str, list[str]] = {}
    for line in (UNITS / unit).read_text().splitlines():
        name, mark, value = line.partition("=")
        if mark and not line.startswith("#"):
            options.setdefault(name, []).append(value)
    return options


def start(unit: str) -> None:
    options = said(unit)
    for name in options.get("RuntimeDirectory", []):
        pathlib.Path("/run", name).mkdir(exist_ok=True)
    environment = dict(
        word.split("=", 1) for line in options.get("Environment", []) for word in shlex.split(line)
    )
    notified = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    path = HERE / f"{unit}.notify"
    path.unlink(missing_ok=True)
    notified.bind(str(path))
    notified.settimeout(60)
    log = os.open(f"/var/log/{unit}.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    process = subprocess.Popen(
        shlex.split(options["ExecStart"][0]),
        env={
            "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "NOTIFY_SOCKET": str(path),
            **environment,
        },
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        start_new_session=True,
        cwd="/",
    )
    (HERE / f"{unit}.pid").write_text(str(process.pid))
    if options.get("Type") == ["notify"]:
        while b"READY=1" not in notified.recv(4096):
            continue


def pid(unit: str) -> int:
    """Of the process, while it runs; 0 otherwise."""
    file = HERE / f"{unit}.pid"
    found = int(file.read_text()) if file.exists() else 0
    state = pathlib.Path(f"/proc/{found}/stat")
    return found if found and state.exists() and state.read_text().rpartition(")")[2].split()[0] != "Z" else 0


def stop(unit: str) -> None:
    found = pid(unit)
    if found:
        os.kill(found, signal.SIGTERM)
    end = time.monotonic() + 60
    while pid(unit):  # another's child: its end is not told to us
        if time.monotonic() > end:
            sys.exit(f"{unit} does not end")
        time.sleep(0.1)


def main() -> None:
    verb, *units = [word for word in sys.argv[1:] if not word.startswith("-")]
    for unit in units:
        if verb == "is-active":
            print("active" if pid(unit) else "inactive")
        elif verb == "enable":
            start(unit)
        elif verb == "disable":
            stop(unit)
        else:
            sys.exit(f"{verb} is not known here")


main()
