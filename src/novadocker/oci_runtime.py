# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""An OCI runtime in front of runc: containers cannot make btrfs subvolumes.

btrfs lets everybody make a subvolume in a folder of his own, and no quota holds a new one: a container held
to 30 MB wrote 100 MB into its own, and could not be removed afterwards, since taking the subvolume away
needs room in a full one. The kernel has no switch for it and Docker no option; a system call filter has.
So the filter that Docker decided on, whichever its version, is kept and one call in it narrowed: ioctl,
without btrfs' own commands (those of type 0x94), but with the three of that type that copy and compare data
on any file system.

And a container's process begins when nova-compute lets it (virt/docker/gates.py): while a file of the
container's id is locked in the folder of gates, its start waits, and goes on if the file then says so. All
else of a start, which takes ten times as long, is done by then. No file, no waiting.

And a server's namespaces are there before its container, and outlive it (virt/docker/namespaces.py): they
are found by the container's id, too. Docker itself knows a container's own namespaces, and another's.

dockerd runs a copy of this file for every step of a container's life (`runtimes` in its daemon.json), so it
imports little and stands alone. Python reads the creation alone: a shell's few lines at the copy's beginning
leave the other steps to runc, a tenth of the time that it takes to start a Python.
"""

import json
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

RUNTIME = "runc"
NAME = "nova-docker"
SANDBOXES = "nova-docker-sandbox"

# What an open gate says, and the seconds that a start waits at one: its container is locked meanwhile, in
# dockerd, which answers no question about it. A start that fails leaves runc's process, which is to become
# the container's, and with it containerd's task of this id: so that is killed.
OPEN = "open"
_PATIENCE = 30

_NAMESPACES = "NOVA_DOCKER_NAMESPACES"
_KEPT = {"network": "net", "user": "user"}

# To Python a string without a name, to a shell a command that does nothing and then the lines themselves.
_SHELL = """#!/bin/sh
''':'
case " $* " in
*" create "* | *" run "*)
    {variable}={namespaces} exec /usr/bin/python3 -IS "$0" "$@" ;;
*" start "*)
    for gate; do :; done
    gate={gates}/$gate
    if [ -e "$gate" ]; then
        flock --shared --wait {patience} "$gate" true && read -r word <"$gate" && [ "$word" = {open} ] || {{
            echo "nova-compute did not open $gate" >&2
            for word; do
                shift
                [ "$word" = start ] && word=kill
                set -- "$@" "$word"
            done
            {runtime} "$@" KILL
            exit 1
        }}
    fi ;;
esac
exec {runtime} "$@"
'''
"""

_SANDBOX = """#!/bin/sh
for word; do
    shift
    set -- "$@" "$word"
    [ "$word" = create ] && set -- "$@" --no-new-keyring
done
exec {runtime} "$@"
"""

_BTRFS = 0x94
_FICLONE, _FICLONERANGE, _FIDEDUPERANGE = 0x40049409, 0x4020940D, 0xC0189436
_SUBVOLUMES = (0x5000940E, 0x50009418, 0x50009401, 0x50009417)  # made and snapshotted, old and new way
# The kernel reads 32 bits of the command; the others are the caller's to fill.
_COMMAND = 0xFFFFFFFF
_COMMAND_ARGUMENT = 1


def narrowed(seccomp: "dict[str, Any] | None") -> "dict[str, Any]":
    """Return a filter, as the OCI's config.json has it, that refuses btrfs' own ioctls.

    One condition on a call is all that a rule may have, so "not of type 0x94" is eight rules, each of which
    allows what differs from it in one bit.
    """
    if not seccomp or seccomp.get("defaultAction") == "SCMP_ACT_ALLOW":
        known = dict(seccomp or {"defaultAction": "SCMP_ACT_ALLOW"})
        rules = [_rule("SCMP_ACT_ERRNO", _COMMAND, command) for command in _SUBVOLUMES]
        return {**known, "syscalls": [*_syscalls(known), *rules]}
    bits = [1 << (8 + bit) for bit in range(8)]
    rules = [_rule("SCMP_ACT_ALLOW", bit, ~(_BTRFS << 8) & bit) for bit in bits]
    rules += [
        _rule("SCMP_ACT_ALLOW", _COMMAND, command) for command in (_FICLONE, _FICLONERANGE, _FIDEDUPERANGE)
    ]
    others = [
        {**rule, "names": [name for name in rule["names"] if name != "ioctl"]}
        if rule["action"] == "SCMP_ACT_ALLOW" and not rule.get("args")
        else rule
        for rule in _syscalls(seccomp)
    ]
    allowed = any("ioctl" in rule["names"] for rule in _syscalls(seccomp))
    return {**seccomp, "syscalls": [rule for rule in others if rule["names"]] + (rules if allowed else [])}


def entered(namespaces: "list[dict[str, Any]]", kept: str) -> "list[dict[str, Any]]":
    """Return a container's namespaces, as config.json has them, with those of its server in place of its own.

    Those of users only where Docker asks for them, and then without fail: otherwise root inside would be the
    host's.

    :param kept: the folder of the server's.
    :raises: FileNotFoundError where there are none: after a reboot, until Nova starts the server.
    """
    found = []
    for each in namespaces:
        if each["type"] not in _KEPT:
            found.append(each)
            continue
        name = _KEPT[each["type"]]
        path, host = os.path.join(kept, name), os.stat(f"/proc/self/ns/{name}")  # noqa: PTH116, PTH118
        try:
            there = os.stat(path)  # noqa: PTH116
        except OSError:
            there = None
        if there is None or there.st_dev != host.st_dev or there.st_ino == host.st_ino:
            raise FileNotFoundError(f"the server has no {each['type']} namespace now: it is Nova's to start")
        found.append({"type": each["type"], "path": path})
    return found


def program(*, gates: str, namespaces: str) -> str:
    """Return the file that dockerd runs.

    :param gates: the folder of the gates that a start waits at.
    :param namespaces: the folder of the servers' namespaces.
    """
    import shlex

    shell = _SHELL.format(
        gates=shlex.quote(gates),
        namespaces=shlex.quote(namespaces),
        variable=_NAMESPACES,
        patience=_PATIENCE,
        open=OPEN,
        runtime=RUNTIME,
    )
    with open(__file__) as source:  # noqa: PTH123 - pathlib takes as long to import as the rest
        return shell + source.read()


def looks_into(program: str, *, namespaces: str) -> bool:
    """Say whether the file that dockerd runs finds namespaces in this folder."""
    import shlex

    return f"{_NAMESPACES}={shlex.quote(namespaces)} exec" in program


def sandbox_program() -> str:
    """Return the file that dockerd runs for sandboxes: runc, without a keyring for each.

    The kernel lets a user have 200 keys (kernel.keys.maxkeys), and root of all containers is one user. A
    sandbox runs our one system call, which asks for no key.
    """
    return _SANDBOX.format(runtime=RUNTIME)


def main(argv: "list[str]") -> None:
    """Narrow the filter of a container that is being created, give it its namespaces, then become runc."""
    folder = os.environ.pop(_NAMESPACES, "")
    if "create" in argv or "run" in argv:
        file = os.path.join(_bundle(argv), "config.json")  # noqa: PTH118
        with open(file) as config:  # noqa: PTH123
            settings = json.load(config)
        linux = settings.setdefault("linux", {})
        linux["seccomp"] = narrowed(linux.get("seccomp"))
        kept = os.path.join(folder, argv[-1])  # noqa: PTH118
        if folder and os.path.islink(kept):  # noqa: PTH114
            try:
                linux["namespaces"] = entered(linux.get("namespaces") or [], kept)
            except FileNotFoundError as error:
                _fail(argv, str(error))
        with open(f"{file}.narrowed", "w") as config:  # noqa: PTH123
            json.dump(settings, config)
        os.rename(f"{file}.narrowed", file)  # noqa: PTH104
    os.execvp(RUNTIME, [RUNTIME, *argv])


def _fail(argv: "list[str]", words: str) -> None:
    """End with an error where containerd looks for runc's, in the last line of its log."""
    log = _option(argv, "--log")
    if log:
        with open(log, "a") as file:  # noqa: PTH123
            file.write(json.dumps({"level": "error", "msg": words}) + "\n")
    raise SystemExit(words)


def _bundle(argv: "list[str]") -> str:
    return _option(argv, "--bundle", "-b") or "."


def _option(argv: "list[str]", *names: str) -> str:
    for at, word in enumerate(argv[:-1]):
        if word in names:
            return argv[at + 1]
        if word.partition("=")[0] in names:
            return word.partition("=")[2]
    return ""


def _syscalls(seccomp: "dict[str, Any]") -> "list[dict[str, Any]]":
    found: list[dict[str, Any]] = seccomp.get("syscalls") or []
    return found


def _rule(action: str, mask: int, value: int) -> "dict[str, Any]":
    condition = {"index": _COMMAND_ARGUMENT, "value": mask, "valueTwo": value, "op": "SCMP_CMP_MASKED_EQ"}
    return {"names": ["ioctl"], "action": action, "args": [condition]}


if __name__ == "__main__":
    main(sys.argv[1:])
