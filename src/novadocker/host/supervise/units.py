# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""A cloud's services as units of systemd: their names and their files.

No unit asks for a mount namespace (PrivateTmp=, ProtectSystem=, ProtectHome=, PrivateDevices=,
ProtectKernelTunables=, ReadWritePaths= and the like). Such a namespace is a copy of all mounts there are when
the service starts, the containers' storage among them (seen in mountinfo with ProtectSystem=yes). It lets go
of what is unmounted outside only where every mount above is shared, which is the machine's owner's to decide:
else a deleted server's disk is busy until that service ends. What confines a service without one is used
instead: another user, no new privileges, few capabilities and system calls.
"""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from novadocker.host.config import DEFAULT_NAME, HostConfig
from novadocker.host.services.model import Cloud, ConfigFile, Service

FOLDER = Path("/etc/systemd/system")

# What a service needs of first-time steps, each of which has needed a service itself.
THROUGH = {"identity": "keystone", "chassis": "vswitchd"}
_SCHEMA = "-schema"

# Nothing of what runs as a user of ours needs more. The capabilities are for the start script, which drops to
# that user and with it both of them.
_CONFINED = (
    "NoNewPrivileges=yes",
    "CapabilityBoundingSet=CAP_SETUID CAP_SETGID",
    "RestrictSUIDSGID=yes",
    "RestrictRealtime=yes",
    "RestrictNamespaces=yes",
    "RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK",
    "LockPersonality=yes",
    "SystemCallArchitectures=native",
    "SystemCallFilter=@system-service",
    "SystemCallErrorNumber=EPERM",
)


def mark(name: str) -> str:
    """The first line of the files of the cloud `name`, by which they are known as its."""
    return f"# Written by nova-docker for its cloud {name}: `up` writes it anew, `down` removes it."


def service(name: str, cloud: str) -> str:
    """The unit of the service `name`; those of another cloud than the usual one bear its name."""
    return f"openstack-{name}.service" if cloud == DEFAULT_NAME else f"openstack-{cloud}-{name}.service"


def target(cloud: str) -> str:
    """The unit that stands for all services: stopped, they stop; started, they start."""
    return f"{cloud}.target"


def boot(cloud: str) -> str:
    """The unit that runs `up` when the machine has booted."""
    return f"{cloud}-boot.service"


def servers(cloud: str) -> str:
    """The unit that ends the servers when the cloud stops: after those who watch, before their daemons."""
    return f"{cloud}-servers.service"


def logs(cloud: str) -> str:
    """The unit that keeps a file of what each service writes to the journal."""
    return f"{cloud}-logs.service"


def beside(cloud: str) -> set[str]:
    """The units that are no service's."""
    return {make(cloud) for make in (slice_, target, boot, servers, logs)}


def slice_(cloud: str) -> str:
    """The slice of all of them.

    systemd takes a hyphen for a slash there: written plainly, the slice of `a` would have that of `a-b` in
    it, and take it along at its end.
    """
    plain = cloud == DEFAULT_NAME
    return f"{cloud if plain else cloud.replace('-', chr(92) + 'x2d')}.slice"


def groups(cloud: str) -> tuple[str, ...]:
    """Where a cloud's processes are: in the group of its name, and below systemd in its units'."""
    return cloud, group(slice_(cloud))


def group(unit: str) -> str:
    """The control group of a slice, below a hierarchy's root."""
    parts = unit.removesuffix(".slice").split("-")
    return "/".join("-".join(parts[: count + 1]) + ".slice" for count in range(len(parts)))


def files(cloud: Cloud, services: Mapping[str, Service]) -> tuple[ConfigFile, ...]:
    """All units of the cloud."""
    name = cloud.config.name
    written = {
        slice_(name): _unit(("Unit", [f"Description=The cloud {name}"])),
        target(name): _target(name, services),
        boot(name): _boot(cloud),
        logs(name): _logs(cloud, services),
        servers(name): _servers(cloud, services),
        **{service(each.name, name): _service(cloud, each, services) for each in services.values()},
    }
    return tuple(
        ConfigFile(path=FOLDER / unit, content=f"{mark(name)}\n{text}", mode=0o644)
        for unit, text in written.items()
    )


def _unit(*sections: tuple[str, Iterable[str]]) -> str:
    return "\n".join("\n".join([f"[{title}]", *lines]) + "\n" for title, lines in sections)


def _target(name: str, services: Mapping[str, Service]) -> str:
    wanted = [logs(name), servers(name), *(service(each, name) for each in services)]
    return _unit(
        ("Unit", [f"Description=The services of the cloud {name}", *(f"Wants={unit}" for unit in wanted)])
    )


def _boot(cloud: Cloud) -> str:
    config = cloud.config
    return _unit(
        (
            "Unit",
            [
                f"Description=Bring back the cloud {config.name}",
                "After=network.target local-fs.target remote-fs.target systemd-sysctl.service",
            ],
        ),
        (
            "Service",
            [
                "Type=oneshot",
                "RemainAfterExit=yes",
                # Folders, mounts, bridges and addresses are made by the same steps that made them first, each
                # service is started when what it needs answers, and the first error is told.
                f"ExecStart={_words(cloud.bin('nova-docker'), *_which(config), 'up')}",
                "Environment=HOME=/root",
                "TimeoutStartSec=15min",
            ],
        ),
        ("Install", ["WantedBy=multi-user.target"]),
    )


def _which(config: HostConfig) -> list[str]:
    words = ["--name", config.name, "--root", str(config.root), "--run-dir", str(config.run_dir)]
    return [*words, "--config", str(config.file)] if config.file else words


def _logs(cloud: Cloud, services: Mapping[str, Service]) -> str:
    name, layout = cloud.config.name, cloud.layout
    read = (cloud.bin("python"), "-m", "novadocker.host.supervise.log_files")
    return _unit(
        (
            "Unit",
            [
                f"Description=Files of what the services of the cloud {name} write",
                f"PartOf={target(name)}",
                f"AssertPathExists={layout.started}",
                # It stops after them, and so has their last words.
                "Before=" + " ".join(service(each, name) for each in services),
            ],
        ),
        (
            "Service",
            [
                f"Slice={slice_(name)}",
                "Type=exec",
                f"ExecStart={_words(*read, layout.logs, layout.run / 'logs.cursor', slice_(name))}",
                "Restart=always",
                "RestartSec=1",
                "NoNewPrivileges=yes",
            ],
        ),
    )


def _servers(cloud: Cloud, services: Mapping[str, Service]) -> str:
    """Left to systemd's last sweep, a server that heeds no SIGTERM would hold up a shutdown for 90 s."""
    name = cloud.config.name
    runs = [service(each.name, name) for each in services.values() if each.name in ("dockerd", "containerd")]
    runs += [service(each.name, name) for each in services.values() if each.name in ("libvirtd", "virtlogd")]
    # Told of an end, Nova would take it for the user's wish, and not start the server at the next boot.
    watch = [service(each, name) for each in services if each in ("nova-docker", "nova-libvirt")]
    end = (cloud.bin("python"), "-m", "novadocker.host.supervise.servers", name)
    machines = f"{group(slice_(name))}/{service('libvirtd', name)}"
    return _unit(
        (
            "Unit",
            [
                f"Description=The servers of the cloud {name}",
                f"PartOf={target(name)}",
                *([f"After={' '.join(runs)}"] if runs else []),
                *([f"Before={' '.join(watch)}"] if watch else []),
            ],
        ),
        (
            "Service",
            [
                f"Slice={slice_(name)}",
                "Type=oneshot",
                "RemainAfterExit=yes",
                "ExecStart=/bin/true",
                f"ExecStop={_words(*end, machines)}",
                "TimeoutStopSec=60",
            ],
        ),
    )


def _service(cloud: Cloud, declared: Service, services: Mapping[str, Service]) -> str:
    name, layout = cloud.config.name, cloud.layout
    needed = " ".join(service(need, name) for need in needs(declared, services))
    unit = [
        f"Description={declared.name} of the cloud {name}",
        f"PartOf={target(name)}",
        # Wanted, not required: what is restarted takes down nobody who waits for it.
        *([f"Wants={needed}", f"After={needed}"] if needed else []),
        f"Wants={logs(name)}",
        # `up` makes the mounts and bridges of which it is the sign; without them a service would fill the
        # disk below them.
        f"AssertPathExists={layout.started}",
        # None is given up: what it waits for may come yet, and status tells of one that keeps dying.
        "StartLimitIntervalSec=0",
    ]
    return _unit(("Unit", unit), ("Service", _behaviour(cloud, declared)))


def _behaviour(cloud: Cloud, declared: Service) -> list[str]:
    lines = [
        f"Slice={slice_(cloud.config.name)}",
        # Those that do not tell are asked by `up`.
        f"Type={'notify' if declared.notifies else 'exec'}",
        *(["NotifyAccess=all"] if declared.notifies == "all" else []),
        f"ExecStart={_words('/bin/sh', cloud.layout.etc / 'start' / declared.name)}",
        f"WorkingDirectory={cloud.layout.run}",
        "Environment=HOME=/",
        f"SyslogIdentifier={declared.name}",
        "Restart=always",
        "RestartSec=1",
        # Of a start that takes long `up` tells; a database that repairs itself is not to be killed over it.
        "TimeoutStartSec=15min",
        f"TimeoutStopSec={declared.stop_seconds}",
        # What holds servers is left alone, and found again by its daemon.
        f"KillMode={'process' if declared.outlives else 'mixed'}",
        "LimitNOFILE=65536",
    ]
    if declared.stop_signal != "TERM":
        lines += [f"KillSignal=SIG{declared.stop_signal}", f"SuccessExitStatus=SIG{declared.stop_signal}"]
    if declared.outlives:
        # One server that the kernel ends for its memory is no reason to stop the daemon of all.
        lines += ["OOMPolicy=continue", "TasksMax=infinity"]
    if declared.oom_score:
        lines.append(f"OOMScoreAdjust={declared.oom_score}")
    if declared.user:
        lines += _CONFINED
    return lines


def needs(declared: Service, services: Mapping[str, Service]) -> list[str]:
    """The services that a service comes after: those it names, and those its first-time steps needed."""
    through = ("mariadb" if need.endswith(_SCHEMA) else THROUGH.get(need, need) for need in declared.needs)
    return [need for need in dict.fromkeys(through) if need in services]


def _words(*words: str | Path) -> str:
    """A command as ExecStart= reads it: `%` and `$` have a meaning there, spaces part words."""
    escaped = (str(word).replace("\\", "\\\\").replace("%", "%%").replace("$", "$$") for word in words)
    return " ".join(word if re.fullmatch(r"[\w./:@\\%$=+-]+", word) else f'"{word}"' for word in escaped)
