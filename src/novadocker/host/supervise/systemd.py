# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""systemd as the supervisor, where it is PID 1."""

from collections.abc import Iterable, Mapping
from pathlib import Path

from novadocker import run
from novadocker.errors import NovaDockerError
from novadocker.host.services.model import ConfigFile
from novadocker.host.supervise import units
from novadocker.host.supervise.door import Process

# sd_booted(3)
_BOOTED = Path("/run/systemd/system")
# Where others' units lie (systemd.unit(5)); ours would stand before them.
_OTHERS = tuple(Path(f"{above}/systemd/system") for above in ("/run", "/usr/local/lib", "/lib", "/usr/lib"))
_PROPERTIES = (
    "Id", "LoadState", "ActiveState", "SubState", "MainPID", "Result", "StatusText", "ExecMainStartTimestamp",
    "NeedDaemonReload",
)  # fmt: skip
# The longest is a stop: every unit's own time, one after the other at worst.
_STOP_SECONDS = 300.0
_SECONDS = 60.0


def booted() -> bool:
    """Whether systemd is PID 1."""
    return _BOOTED.is_dir()


class Systemd:
    """One cloud's units.

    :param cloud: its name.
    :param services: those that are to be.
    """

    def __init__(self, cloud: str, *, services: Iterable[str], folder: Path = units.FOLDER) -> None:
        self._cloud = cloud
        self._folder = folder
        self._units = {name: units.service(name, cloud) for name in services}

    def alive(self) -> bool:
        """It always is."""
        return True

    def reaped(self) -> bool:
        """PID 1 reaps."""
        return True

    def start(self, *, group: Path) -> None:
        """It runs since the machine does."""

    def refuse_foreign(self, settings: Iterable[ConfigFile]) -> None:
        """Refuse to write a unit that somebody else has.

        :raises NovaDockerError: naming it.
        """
        for file in settings:
            unit = file.path.name
            theirs = [folder / unit for folder in _OTHERS if (folder / unit).exists()]
            if (self._folder / unit).exists() and not _is_of(self._folder / unit, self._cloud):
                theirs.append(self._folder / unit)
            if theirs:
                raise NovaDockerError(
                    f"There is a unit {unit} of somebody else's.",
                    facts=", ".join(map(str, theirs)),
                    hint="Choose another name for the cloud: nova-docker --name.",
                )

    def processes(self) -> dict[str, Process]:
        """All services of the cloud."""
        shown = self._show(self._units.values())
        return {name: _process(name, shown[unit]) for name, unit in self._units.items()}

    def adopt_settings(self) -> bool:
        """Read the units again: changed ones are stopped, those no longer declared removed.

        :returns: whether there were any.
        """
        present = of_cloud(self._cloud, folder=self._folder)
        extra = {
            make(self._cloud) for make in (units.slice_, units.target, units.boot, units.servers, units.logs)
        }
        stale = [unit for unit in present if unit not in extra and unit not in self._units.values()]
        shown = self._show([*self._units.values(), *extra])
        changed = [
            unit
            for unit, facts in shown.items()
            if facts["NeedDaemonReload"] == "yes"
            or (facts["LoadState"] == "not-found" and (self._folder / unit).exists())
        ]
        stopped = [*stale, *(unit for unit in changed if unit in self._units.values())]
        if stopped:
            _systemctl("stop", *stopped, seconds=_STOP_SECONDS)
        for unit in stale:
            (self._folder / unit).unlink()
        if stale or changed:
            _systemctl("daemon-reload")
        if units.logs(self._cloud) in changed:
            _systemctl("try-restart", units.logs(self._cloud))
        return bool(stale or changed)

    def begin(self, name: str) -> None:
        """Ask for the service's start; whether it got ready is for its probe to say."""
        unit = self._unit(name)
        # One that was given up is given all its tries again.
        _systemctl("reset-failed", unit, check=False)
        _systemctl("start", "--no-block", unit)

    def stop(self, name: str) -> None:
        """Stop the service and wait for its end."""
        _systemctl("stop", self._unit(name), seconds=_STOP_SECONDS)

    def end(self) -> None:
        """Stop every service; systemd goes on."""
        _systemctl("stop", *self._units.values(), seconds=_STOP_SECONDS)

    def keep(self) -> bool:
        """Have the target up, and the cloud brought back at the next boot; say whether that was new."""
        boot, target = units.boot(self._cloud), units.target(self._cloud)
        enabled = _systemctl("is-enabled", boot, check=False) == "enabled"
        active = _systemctl("is-active", target, check=False) == "active"
        if not enabled:
            _systemctl("enable", boot)
        if not active:
            _systemctl("start", target)
        return not (enabled and active)

    def _unit(self, name: str) -> str:
        if name not in self._units:
            raise NovaDockerError("systemd refused.", facts=f"the cloud {self._cloud} has no service {name}")
        return self._units[name]

    def _show(self, names: Iterable[str]) -> dict[str, dict[str, str]]:
        wanted = list(names)
        said = _systemctl("show", "--timestamp=unix", f"--property={','.join(_PROPERTIES)}", *wanted)
        blocks = [
            dict(line.partition("=")[::2] for line in block.splitlines()) for block in said.split("\n\n")
        ]
        return dict(zip(wanted, blocks, strict=True))


def of_cloud(cloud: str, *, folder: Path = units.FOLDER) -> list[str]:
    """The units of the cloud that are there, by the mark in their files."""
    if not folder.is_dir():
        return []
    return sorted(
        path.name
        for path in folder.iterdir()
        if path.suffix in (".service", ".target", ".slice") and not path.is_symlink() and _is_of(path, cloud)
    )


def remove(cloud: str, *, folder: Path = units.FOLDER) -> bool:
    """Stop and remove all units of the cloud; say whether there were any.

    What outlives its daemon, as servers do, is left for who asked.
    """
    present = of_cloud(cloud, folder=folder)
    if present and booted():
        own = units.slice_(cloud)
        _systemctl("stop", *(unit for unit in present if unit != own), seconds=_STOP_SECONDS, check=False)
        _systemctl("disable", units.boot(cloud), check=False)
    for unit in present:
        (folder / unit).unlink(missing_ok=True)
    return bool(present)


def forget(cloud: str, gone: Iterable[str]) -> None:
    """Have systemd forget units whose files and processes are gone, and slices that hold nothing more."""
    own = units.slice_(cloud)
    _systemctl("stop", own, check=False)
    _systemctl("daemon-reload")
    _systemctl("reset-failed", *gone, check=False)
    parts = own.removesuffix(".slice").split("-")
    for count in range(len(parts) - 1, 0, -1):
        # systemd made the slices above ours as it needed them, and keeps them. Another cloud's may be below.
        above = "-".join(parts[:count]) + ".slice"
        shown = _systemctl("show", "--property=FragmentPath,RequiredBy", above, check=False)
        if not any(line.partition("=")[2] for line in shown.splitlines()):
            _systemctl("stop", above, check=False)


def _is_of(path: Path, cloud: str) -> bool:
    with path.open(errors="replace") as stream:
        return stream.readline().rstrip("\n") == units.mark(cloud)


def _process(name: str, facts: Mapping[str, str]) -> Process:
    match facts["ActiveState"], facts["SubState"]:
        case "active" | "reloading", _:
            state = "RUNNING"
        case "activating", "auto-restart":
            state = "BACKOFF"
        case "activating", _:
            state = "STARTING"
        case "deactivating", _:
            state = "STOPPING"
        case "failed", _:
            state = "FATAL"
        case _:
            state = "STOPPED"
    since = facts["ExecMainStartTimestamp"].removeprefix("@")
    return Process(
        name=name,
        state=state,
        pid=int(facts["MainPID"] or 0),
        said=facts["StatusText"] or f"{facts['SubState']}, result {facts['Result']}",
        started=float(since) if since else 0.0,
    )


def _systemctl(*words: str, check: bool = True, seconds: float = _SECONDS) -> str:
    try:
        done = run.run(["systemctl", "--no-pager", *words], check=check, seconds=seconds)
    except run.CommandFailed as error:
        raise NovaDockerError(
            f"systemd refused `{words[0]}`.",
            facts=f"{error.summary} {error.facts}".strip(),
            hint="`systemctl --failed` and `journalctl -xe` tell more.",
        ) from error
    return done.out.strip("\n")
