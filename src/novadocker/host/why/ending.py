# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""Why a server that ran does not run any more."""

import re
from datetime import timedelta
from typing import Any

from novadocker.host.why.case import Case, Cause, line, lines, moment

_BY_ITSELF = r"Instance shutdown by itself|Instance is not stopped"
_KILLED = 137
# Nova's own stop of a server that it found stopped is an action like a user's.
_SAME = timedelta(seconds=3)


def _off(case: Case) -> bool:
    return case.status == "SHUTOFF" and not case.task


def _seen(case: Case, *more: str) -> tuple[str, ...]:
    return (*more, *lines([_last(case, r"VM Stopped"), _last(case, _BY_ITSELF)]))


def _last(case: Case, pattern: str) -> Any:
    return next((e for e in reversed(case.entries) if case.id in e.text and re.search(pattern, e.text)), None)


def out_of_memory(case: Case) -> Cause | None:
    """The kernel killed its process for want of memory."""
    container = case.part("container", {})
    told = case.find("The kernel killed a process of server", own=True)
    if not (_off(case) and container.get("out_of_memory") and container.get("exit") == _KILLED):
        return None
    flavor = case.server.get("flavor") or {}
    more = next(
        (each["name"] for each in case.part("flavors", []) if each["ram"] > (flavor.get("ram") or 0)), ""
    )
    return Cause(
        rule="out-of-memory",
        sentence=f"It used more memory than its flavor {flavor.get('name')} has ({flavor.get('ram')} MB): "
        "the kernel killed it.",
        evidence=_seen(
            case,
            f"Docker: {container['name']} ended at {container['finished'][11:19]}: OOMKilled, "
            f"exit code {_KILLED}",
            *lines([told]),
        ),
        fix=f"openstack server resize --flavor {more or 'FLAVOR'} {case.id}   # then: openstack server "
        f"resize confirm {case.id}; openstack server start {case.id}",
    )


def removed(case: Case) -> Cause | None:
    """Its container was removed without Nova."""
    told = case.find("was removed behind Nova's back", own=True)
    if not told or case.status == "DELETED" or case.part("container", None) != {}:
        return None
    return Cause(
        rule="container-removed",
        sentence="Somebody removed its container without Nova, and what was on its disk with it.",
        evidence=(line(told), f"Docker: there is no container nova-{case.id}"),
        fix=f"openstack server reboot --hard {case.id}   # makes it anew from its image",
    )


def process_ended(case: Case) -> Cause | None:
    """Its first process ended, and with it the server."""
    container = case.part("container", {})
    if not (_off(case) and container.get("status") == "exited" and _last(case, _BY_ITSELF)):
        return None
    code, last = container["exit"], (container["last"] or [""])[-1]
    said = f"; its last line: {last}" if last else ""
    if code == 0:
        return Cause(
            rule="process-ended",
            sentence="Its process did what it was asked for and ended (exit code 0): a server runs as long "
            f"as its first process{said}.",
            evidence=_seen(case, *_of_docker(container)),
            fix="openstack image set --property os_command_line='COMMAND THAT STAYS' "
            f"{case.server.get('image') or 'IMAGE'}",
        )
    if code in (126, 127) and "exec" in " ".join(container["last"]):
        return Cause(
            rule="command-not-found",
            sentence=f"The command of its image cannot be run: {last}",
            evidence=_seen(case, *_of_docker(container)),
            fix="openstack image set --property os_command_line='COMMAND' "
            f"{case.server.get('image') or 'IMAGE'}   # or mend the image",
        )
    how = (
        f"was ended by signal {code - 128} (exit code {code})"
        if code > 128
        else f"failed with exit code {code}"
    )
    return Cause(
        rule="process-ended",
        sentence=f"Its process {how}{said}.",
        evidence=_seen(case, *_of_docker(container)),
        fix=f"openstack console log show {case.id}   # then: openstack server start {case.id}",
    )


def _of_docker(container: dict[str, Any]) -> list[str]:
    said = [f"console: {each}" for each in container["last"][-3:]]
    ended = (
        f"Docker: {container['name']} ended at {container['finished'][11:19]}: exit code {container['exit']}"
    )
    return [ended, *said]


def qemu_ended(case: Case) -> Cause | None:
    """Its VM is off, and nobody asked Nova for that."""
    domain, told = case.part("domain", {}), _last(case, _BY_ITSELF)
    if not (_off(case) and case.kind == "VM" and told):
        return None
    last = domain.get("last", [])
    reason = next((found[1] for each in reversed(last) if (found := re.search(r"reason=(\w+)", each))), "")
    words = next((each for each in last if "terminating on signal" in each), "")
    evidence = _seen(case, *(f"QEMU: {each}" for each in last[-2:]), f"libvirt: {domain.get('state', '')}")
    fix = f"openstack server start {case.id}"
    if reason == "shutdown" and not words:
        return Cause(
            rule="guest-shut-down",
            sentence="Somebody inside shut the VM down: its guest powered itself off.",
            evidence=evidence,
            fix=fix,
            wrong=False,
        )
    if reason in ("crashed", "failed"):
        sentence = "Its QEMU process was killed or crashed: libvirt lost it without a word."
    elif words:
        sentence = f"Its QEMU process was ended from outside of Nova: {words.split(': ')[-1]}."
    else:
        sentence = f"Its VM went off without Nova{f' (libvirt: {reason})' if reason else ''}."
    return Cause(
        rule="qemu-ended", sentence=sentence, evidence=evidence, fix=f"{fix}   # dmesg tells of OOM kills"
    )


def on_request(case: Case) -> Cause | None:
    """A user asked for the state it is in."""
    wanted = {"SHUTOFF": ("stop",), "PAUSED": ("pause",), "SUSPENDED": ("suspend",), "RESCUE": ("rescue",),
              "SHELVED": ("shelve",), "SHELVED_OFFLOADED": ("shelve", "shelveOffload"),
              "SOFT_DELETED": ("delete",), "DELETED": ("delete", "forceDelete")}.get(case.status)  # fmt: skip
    asked = next(
        (each for each in reversed(case.part("actions", [])) if each["action"] in (wanted or ())), None
    )
    if asked is None or (case.status == "DELETED" and not case.server.get("launched")):
        return None
    start = moment(asked["start"])
    found = _last(case, _BY_ITSELF)
    if case.status == "SHUTOFF" and found and abs(found.time - start) <= _SAME:
        return None
    return Cause(
        rule="on-request",
        sentence=f"It is {case.status} because a user asked for that ({asked['action']}, "
        f"{start:%Y-%m-%d %H:%M:%S} UTC).",
        evidence=(f"action {asked['action']}, request {asked['request']}",),
        fix={"SHUTOFF": f"openstack server start {case.id}", "PAUSED": f"openstack server unpause {case.id}",
             "SUSPENDED": f"openstack server resume {case.id}",
             "RESCUE": f"openstack server unrescue {case.id}",
             "SHELVED": f"openstack server unshelve {case.id}",
             "SHELVED_OFFLOADED": f"openstack server unshelve {case.id}"}.get(case.status, ""),
        wrong=False,
    )  # fmt: skip


RULES = (removed, out_of_memory, on_request, process_ended, qemu_ended)
