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

# To Python a string without a name, to a shell a command that does nothing and then the lines themselves.
_SHELL = """#!/bin/sh
''':'
case " $* " in
*" create "* | *" run "*) exec /usr/bin/python3 -IS "$0" "$@" ;;
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


def program(*, gates: str) -> str:
    """Return the file that dockerd runs.

    :param gates: the folder of the gates that a start waits at.
    """
    import shlex

    shell = _SHELL.format(gates=shlex.quote(gates), patience=_PATIENCE, open=OPEN, runtime=RUNTIME)
    with open(__file__) as source:  # noqa: PTH123 - pathlib takes as long to import as the rest
        return shell + source.read()


def sandbox_program() -> str:
    """Return the file that dockerd runs for sandboxes: runc, without a keyring for each.

    The kernel lets a user have 200 keys (kernel.keys.maxkeys), and root of all containers is one user. A
    sandbox runs our one system call, which asks for no key.
    """
    return _SANDBOX.format(runtime=RUNTIME)


def main(argv: "list[str]") -> None:
    """Narrow the filter of a container that is being created, then become runc."""
    if "create" in argv or "run" in argv:
        file = os.path.join(_bundle(argv), "config.json")  # noqa: PTH118
        with open(file) as config:  # noqa: PTH123
            settings = json.load(config)
        linux = settings.setdefault("linux", {})
        linux["seccomp"] = narrowed(linux.get("seccomp"))
        with open(f"{file}.narrowed", "w") as config:  # noqa: PTH123
            json.dump(settings, config)
        os.rename(f"{file}.narrowed", file)  # noqa: PTH104
    os.execvp(RUNTIME, [RUNTIME, *argv])


def _bundle(argv: "list[str]") -> str:
    for at, word in enumerate(argv):
        if word in ("--bundle", "-b"):
            return argv[at + 1]
        if word.startswith("--bundle="):
            return word.partition("=")[2]
    return "."


def _syscalls(seccomp: "dict[str, Any]") -> "list[dict[str, Any]]":
    found: list[dict[str, Any]] = seccomp.get("syscalls") or []
    return found


def _rule(action: str, mask: int, value: int) -> "dict[str, Any]":
    condition = {"index": _COMMAND_ARGUMENT, "value": mask, "valueTwo": value, "op": "SCMP_CMP_MASKED_EQ"}
    return {"names": ["ioctl"], "action": action, "args": [condition]}


if __name__ == "__main__":
    main(sys.argv[1:])
