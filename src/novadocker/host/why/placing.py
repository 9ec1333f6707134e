# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""Why no host was found for a server."""

import re
from typing import Any

from novadocker.host.why.case import Case, Cause, again, line, lines

_NO_CANDIDATES = "Got no allocation candidates"
_FILTERED = r"Filter \w+ returned 0 hosts"
_KINDS = {
    "MEMORY_MB": ("ram", "MB of memory"),
    "VCPU": ("vcpus", "processors"),
    "DISK_GB": ("disk", "GB of disk"),
}
# What each hypervisor's own daemon is, without which its nova-compute takes itself out of service.
_DAEMON = {"container": "dockerd", "VM": "libvirtd"}
_WHAT = {"container": "containers", "VM": "VMs", "server": "servers"}
_FILTERS = {
    "ImagePropertiesFilter": "the image asks for an architecture or hypervisor that no host has",
    "ComputeCapabilitiesFilter": "the flavor's extra specs ask for what no host offers",
    "ServerGroupAntiAffinityFilter": "its server group forbids every host that has one of the group already",
    "ServerGroupAffinityFilter": "its server group wants it on a host that cannot take it",
    "NUMATopologyFilter": "no host can give it the processors or memory nodes its flavor asks for",
}


def _none_found(case: Case) -> bool:
    return "No valid host was found" in case.told


def _seen(case: Case, *more: str) -> tuple[str, ...]:
    return (
        *lines([case.find(_NO_CANDIDATES), case.find(_FILTERED), case.find("Failed to schedule instances")]),
        *more,
    )


def _provider(case: Case) -> dict[str, Any]:
    return next(
        (each for each in case.part("providers", []) if each["name"] == case.compute_host),
        {},
    )


def too_big(case: Case) -> Cause | None:
    """Its flavor asks for more than the host of its kind gives to one server."""
    provider, flavor = _provider(case), case.server.get("flavor")
    if not (_none_found(case) and provider and flavor):
        return None
    for kind, (field, unit) in _KINDS.items():
        offer = provider["offers"].get(kind)
        if offer is None:
            continue
        most = min(offer["capacity"], offer["most"])
        if flavor[field] > most:
            return Cause(
                rule="flavor-too-big",
                sentence=f"Its flavor {flavor['name']} asks for {flavor[field]} {unit}, and "
                f"{case.compute_host}, the host of {_WHAT[case.kind]}, has {most} for all of its servers.",
                evidence=_seen(case, f"Placement: {provider['name']} offers {most} {unit}"),
                fix=_smaller(case, provider),
            )
    return None


def full(case: Case) -> Cause | None:
    """The host of its kind has no room left for its flavor."""
    provider, flavor = _provider(case), case.server.get("flavor")
    # Where filters chose among hosts, there was room; Placement looks for it first.
    if not (_none_found(case) and provider and flavor and case.find(_NO_CANDIDATES)):
        return None
    for kind, (field, unit) in _KINDS.items():
        offer = provider["offers"].get(kind)
        if offer and flavor[field] > offer["capacity"] - offer["used"]:
            free = offer["capacity"] - offer["used"]
            return Cause(
                rule="host-full",
                sentence=f"{case.compute_host}, the host of {_WHAT[case.kind]}, has {free} {unit} free of "
                f"{offer['capacity']}, and its flavor {flavor['name']} asks for {flavor[field]}.",
                evidence=_seen(
                    case,
                    f"Placement: {offer['used']} {unit} are given to {len(provider['consumers'])} servers",
                ),
                fix="Delete servers that are not needed (openstack server list --all-projects), or take a "
                "smaller flavor; `nova-docker status` shows what each hypervisor has.",
            )
    return None


def _smaller(case: Case, provider: dict[str, Any]) -> str:
    def fits(flavor: dict[str, Any]) -> bool:
        return all(
            flavor[field] <= min(provider["offers"][kind]["capacity"], provider["offers"][kind]["most"])
            for kind, (field, _) in _KINDS.items()
            if kind in provider["offers"]
        )

    fitting = [each["name"] for each in case.part("flavors", []) if fits(each)]
    largest = f"; the largest that fits is {fitting[-1]}" if fitting else ""
    name = fitting[-1] if fitting else "FLAVOR"
    return f"openstack server create --flavor {name} …   # a smaller one{largest}"


def daemon_gone(case: Case) -> Cause | None:
    """The hypervisor's daemon did not run, and its nova-compute took itself out of service."""
    daemon = _DAEMON.get(case.kind, "")
    gap = case.outage(daemon)
    if not (_none_found(case) and gap):
        return None
    reason = (_service(case) or {}).get("reason") or ""
    return Cause(
        rule="hypervisor-daemon-down",
        sentence=f"{daemon} {gap.how}, so {case.compute_host}, the only host of {_WHAT[case.kind]}, took no "
        "server.",
        evidence=(
            str(gap),
            *([f"Nova: {case.compute_host} is disabled: {reason}"] if reason else []),
            *_seen(case),
        ),
        fix=again(case),
    )


def disabled(case: Case) -> Cause | None:
    """Somebody disabled the only host of its kind."""
    service = _service(case)
    if not (_none_found(case) and service and service["status"] == "disabled"):
        return None
    reason = f" ('{service['reason']}')" if service["reason"] else ""
    return Cause(
        rule="host-disabled",
        sentence=f"{service['host']}, the only host of {_WHAT[case.kind]}, is disabled{reason}: "
        "no server is put there.",
        evidence=_seen(case, f"Nova: nova-compute on {service['host']} is disabled{reason}"),
        fix=f"openstack compute service set --enable {service['host']} nova-compute",
    )


def host_down(case: Case) -> Cause | None:
    """The nova-compute of its kind did not report when a host was looked for."""
    if not _none_found(case):
        return None
    service, gap = _service(case), case.outage(case.compute)
    found = case.find("Filter ComputeFilter returned 0 hosts")
    if gap is None and not (found and service and service["state"] != "up"):
        return None
    told = str(gap) if gap else f"Nova: nova-compute on {case.compute_host} is down"
    return Cause(
        rule="host-down",
        sentence=f"nova-compute on {case.compute_host}, the only host of {_WHAT[case.kind]}, did not run.",
        evidence=(told, *_seen(case)),
        fix=again(case),
    )


def filtered(case: Case) -> Cause | None:
    """A filter of the scheduler refused the last host, and what that filter asks is known."""
    found = case.find(_FILTERED)
    if not (_none_found(case) and found):
        return None
    name = re.search(r"Filter (\w+) returned", found.text)
    asked = _FILTERS.get(name[1]) if name else None
    if name is None or asked is None:
        return None
    return Cause(
        rule="filtered",
        sentence=f"No host may take it: {asked} (the scheduler's {name[1]}).",
        evidence=_seen(case),
        fix=f"openstack image show {case.server.get('image') or 'IMAGE'}; openstack flavor show "
        f"{(case.server.get('flavor') or {}).get('name') or 'FLAVOR'}   # and take out what asks for it",
    )


def _service(case: Case) -> dict[str, Any] | None:
    return next(
        (
            each
            for each in case.part("computes", [])
            if each["binary"] == "nova-compute" and each["host"] == case.compute_host
        ),
        None,
    )


def not_any_more(case: Case) -> str:
    """What can be said where no host was found and everything is well now; empty if that is not so."""
    found = case.find(_NO_CANDIDATES) or case.find(_FILTERED)
    if not (_none_found(case) and found):
        return ""
    return f"No host took it then ({line(found)}); it would find one now."


RULES = (too_big, daemon_gone, disabled, host_down, full, filtered)
