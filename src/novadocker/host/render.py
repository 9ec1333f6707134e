# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""Turn declarations into files: the services' own, the script that starts each, and the supervisor's."""

import hashlib
import json
import shlex
from collections.abc import Mapping

from novadocker.host.services import shared
from novadocker.host.services.model import Cloud, ConfigFile, Service

# Of each service: what it is writing to, and as many full ones as are kept.
LOG_MB, LOGS_KEPT = 10, 2

# By this module supervisord knows whom to start as a copy of itself.
BEGIN = "novadocker.programs.begin"

_BASE_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

# Threads share one heap of the C library instead of having one each, and what is free at its end goes back
# (mallopt(3)): the services wait more than they work.
# No service runs on eventlet, which libraries import all the same; it then leaves its own resolver out.
FRUGAL = {"MALLOC_ARENA_MAX": "1", "MALLOC_TRIM_THRESHOLD_": "131072", "EVENTLET_NO_GREENDNS": "yes"}

# A program that was killed may leave children that hold its port or its lock, as RabbitMQ's shell leaves the
# broker: the next one would never start. (cgroup.kill: cgroup v2, kernel 5.14.)
_END_LEFTOVERS = """\
if [ -e {group}/cgroup.kill ]; then echo 1 > {group}/cgroup.kill; fi
for pid in $(cat {group}/cgroup.procs 2>/dev/null); do kill -KILL "$pid" 2>/dev/null || true; done
"""

# The first is the start that was asked for, the others come after a death; twenty of them say enough.
_NOTE = """\
{{ head -n 1 {file}; tail -n +2 {file} | tail -n 18; date +%s; }} > {file}.new 2>/dev/null || true
mv {file}.new {file} || true
"""


def start_script(cloud: Cloud, service: Service, *, group: str) -> ConfigFile:
    """The shell script that enters the control group, namespaces and user, and becomes the program.

    :param group: empty where the supervisor has put it into one before.

    Passwords are in no script: programs read them from their own files.
    """
    lines = [
        "#!/bin/sh",
        "# Written by nova-docker; starts one service. The supervisor runs it as root.",
        "set -e",
    ]
    enter = _entering(cloud, service, group=group, who="$$")
    spaces = _namespaces(service)
    if spaces:
        again = f'exec unshare {" ".join(spaces)} -- /bin/sh "$0" inside'
        inner = [f"    {line}" for line in (*enter, again)]
        lines += ['if [ "${1:-}" != inside ]; then', *inner, "fi"]
    else:
        lines += enter
    lines += service.prepare
    lines += [f"export {name}={shlex.quote(value)}" for name, value in _environment(service).items()]
    command = shlex.join(service.command)
    if service.user:
        command = (
            f"setpriv --reuid={service.user} --regid={service.user} --init-groups --no-new-privs -- {command}"
        )
    lines.append(f"exec {command}")
    return ConfigFile(
        path=cloud.layout.etc / "start" / service.name, content="\n".join(lines) + "\n", mode=0o700
    )


def start_file(cloud: Cloud, service: Service, *, group: str) -> ConfigFile:
    """What a service starts from below supervisord: a copy of that one's process reads it, or else the shell.

    A program in Python starts as a copy (`programs/supervisord.py`): its libraries are loaded already. It is
    told what the script tells the shell.
    """
    if not starts_as_copy(cloud, service):
        return start_script(cloud, service, group=group)
    _, _, _, module, *arguments = service.command
    told = {
        "name": service.name,
        "before": _entering(cloud, service, group=group, who="$PPID"),
        "mounts": bool(service.mounts),
        "inside": list(service.prepare),
        "environment": _environment(service),
        "user": service.user,
        "module": module,
        "arguments": arguments,
    }
    return ConfigFile(
        path=cloud.layout.etc / "start" / f"{service.name}.json", content=json.dumps(told, indent=1) + "\n"
    )


def starts_as_copy(cloud: Cloud, service: Service) -> bool:
    """Whether its program is Python's and loads what all do, with no namespace that a copy cannot enter."""
    return (
        service.command[:3] == (cloud.bin("python"), "-P", "-m")
        and service.command[3] != shared.ON_DEMAND
        and service.mounts in ("", "unchanged")
        and not service.own_hostname
        and not service.own_network
    )


def _entering(cloud: Cloud, service: Service, *, group: str, who: str) -> list[str]:
    """Shell lines that end what is left of it, put the process `who` into its group, and note the start."""
    lines = [f"echo {who} > {shlex.quote(group)}/cgroup.procs"] if group else []
    if group and not service.outlives:
        lines = [*_END_LEFTOVERS.format(group=shlex.quote(group)).splitlines(), *lines]
    return lines + _NOTE.format(file=shlex.quote(str(cloud.layout.starts / service.name))).splitlines()


def _environment(service: Service) -> dict[str, str]:
    return {"PATH": _BASE_PATH, "LC_ALL": "C.UTF-8", "TZ": "UTC", **FRUGAL, **service.environment}


def _namespaces(service: Service) -> list[str]:
    """What unshare(1) is told to give the service of its own."""
    words = ["--mount", "--propagation", service.mounts] if service.mounts else []
    words += ["--uts"] if service.own_hostname else []
    return words + (["--net"] if service.own_network else [])


def supervisor_file(cloud: Cloud, services: Mapping[str, Service]) -> ConfigFile:
    """supervisord's configuration: every service a program that is restarted when it ends unasked."""
    layout = cloud.layout
    parts = [
        "[unix_http_server]",
        f"file = {layout.supervisor_socket}",
        "chmod = 0700",
        "[supervisord]",
        "nodaemon = true",
        "silent = true",
        f"logfile = {layout.logs / 'supervisor.log'}",
        "logfile_maxbytes = 10MB",
        "logfile_backups = 1",
        f"pidfile = {layout.run / 'supervisor.pid'}",
        "identifier = " + cloud.config.name,
        "minfds = 16384",
        "minprocs = 4096",
        "[rpcinterface:supervisor]",
        "supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface",
    ]
    for service in services.values():
        file = layout.etc / "start" / service.name
        start = f"/bin/sh {file}"
        if starts_as_copy(cloud, service):
            start = f"{cloud.bin('python')} -P -m {BEGIN} {file}.json"
        parts += [
            f"[program:{service.name}]",
            f"command = {start}",
            f"directory = {layout.run}",
            "autostart = false",
            "autorestart = true",
            "startsecs = 1",
            # It waits a second longer each time, and does not give up before an hour and a half have gone.
            "startretries = 100",
            f"stopsignal = {service.stop_signal}",
            f"stopwaitsecs = {service.stop_seconds}",
            "killasgroup = true",
            "redirect_stderr = true",
            f"stdout_logfile = {layout.logs / service.name}.log",
            f"stdout_logfile_maxbytes = {LOG_MB}MB",
            f"stdout_logfile_backups = {LOGS_KEPT}",
        ]
    return ConfigFile(path=layout.etc / "supervisord.conf", content="\n".join(parts) + "\n")


def fingerprint(service: Service, script: ConfigFile) -> str:
    """A digest of all that a running service was started with; another one means that it must start anew."""
    digest = hashlib.sha256(script.content.encode())
    for file in service.files:
        digest.update(f"\0{file.path}\0{file.mode}\0".encode())
        digest.update(file.content.encode())
    return digest.hexdigest()
