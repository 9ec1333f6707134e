# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""Why a server does not get on: whom it waits for."""

from datetime import timedelta

from novadocker.host.why.case import Case, Cause, line, moment

# Without these no request gets anywhere; the scheduler is in the conductor's process.
_COMMON = ("rabbitmq", "mariadb", "nova-conductor")
# As `doctor` has it: longer than anything of ours takes.
_LONG = timedelta(minutes=10)
_DELETING = {"deleting", "force-deleting", "soft-deleting"}
_DAEMON = {"nova-docker": ("dockerd", "containerd"), "nova-libvirt": ("libvirtd",)}


def waiting(case: Case) -> bool:
    """Whether something is to be done with it still."""
    return case.status != "DELETED" and bool(case.task or case.status == "BUILD")


def _doing(case: Case) -> str:
    return "deleted" if case.task in _DELETING else "built" if case.status == "BUILD" else f"'{case.task}'"


def _path(case: Case) -> tuple[str, ...]:
    """The services that must work on it next, the next first."""
    placed = case.server.get("host") or case.find("Claim successful", own=True)
    scheduled = case.find(r'"PUT /allocations/', service="placement", own=True)
    compute = (case.compute, *_DAEMON.get(case.compute, ())) if case.compute else ()
    if placed or scheduled or case.task in _DELETING:
        return (*compute, *_COMMON, "neutron", "placement", "glance")
    return (*_COMMON, "placement", *compute)


def part_gone(case: Case) -> Cause | None:
    """Who should work on it does not run."""
    if not waiting(case):
        return None
    path = _path(case)
    name, frozen = case.stopped_now(*path), case.frozen_now(*path)
    if not name and not frozen:
        return None
    who = name or frozen
    state = case.seen["supervised"][who]
    gap = next((each for each in reversed(case.all_outages.get(who, [])) if each.end is None), None)
    how = f"is {state['state'].lower()}" if name else f"(process {state['pid']}) is stopped by a signal"
    host = f" on {case.compute_host}" if who == case.compute else ""
    return Cause(
        rule="waits-for-service",
        sentence=f"It is to be {_doing(case)}, and {who}{host}, which has to do that, {how}.",
        evidence=(
            _state(case),
            str(gap) if gap else f"supervisor: {who} {how}",
            *_last_line(case),
        ),
        fix="nova-docker up   # it goes on by itself then" if name else f"kill -CONT {state['pid']}",
    )


def message_lost(case: Case) -> Cause | None:
    """The service that was to do it ended meanwhile; the message it had is gone with it."""
    if not waiting(case) or not case.compute:
        return None
    since = moment(str(case.server["updated"]))
    gap = next(
        (each for each in case.all_outages.get(case.compute, []) if each.end and each.end > since), None
    )
    if gap is None or case.now - (gap.end or case.now) < timedelta(seconds=30):
        return None
    return Cause(
        rule="message-lost",
        sentence=f"{case.compute} {gap.how} after it was told, and began anew without knowing of it.",
        evidence=(str(gap), _state(case), *_last_line(case)),
        fix=_by_force(case),
    )  # fmt: skip


def nobody(case: Case) -> Cause | None:
    """Nobody has worked on it for long, though all run."""
    if not waiting(case) or not case.server:
        return None
    idle = case.now - max(
        [moment(str(case.server["updated"])), *(each.time for each in case.entries if case.id in each.text)]
    )
    if idle < _LONG:
        return None
    return Cause(
        rule="nobody-works-on-it",
        sentence=f"It is to be {_doing(case)}, and nobody has worked on it for "
        f"{idle.total_seconds() / 60:.0f} min: "
        "what was to be done is lost.",
        evidence=(_state(case), *_last_line(case)),
        fix=_by_force(case),
    )  # fmt: skip


def under_way(case: Case) -> Cause | None:
    """It is being worked on."""
    if not waiting(case) or not case.server or not case.part("supervised", {}):
        return None
    seconds = (case.now - moment(str(case.server["updated"]))).total_seconds()
    return Cause(
        rule="under-way",
        sentence=f"It is being {_doing(case)} since {seconds:.0f} s, and all who work on it run.",
        evidence=_last_line(case),
        fix="",
        wrong=False,
    )


def _state(case: Case) -> str:
    since = f", since {case.server['updated']}" if case.server else ""
    return f"Nova: status {case.status}, task {case.task or 'none'}{since}"


def _by_force(case: Case) -> str:
    again = f"openstack server set --state error {case.id} && openstack server delete {case.id}"
    if case.task in _DELETING or case.status == "BUILD":
        return again
    return f"openstack server set --state active {case.id} && openstack server reboot --hard {case.id}"


def _last_line(case: Case) -> tuple[str, ...]:
    last = next((each for each in reversed(case.entries) if case.id in each.text), None)
    return (f"the last that was written about it: {line(last)}",) if last else ()


RULES = (part_gone, message_lost, nobody, under_way)
