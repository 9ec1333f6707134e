# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""Why a server could not be started: its process, its QEMU, or a daemon that was away."""

import re
from datetime import timedelta

from novadocker.host.why.case import Case, Cause, again, lines

# By service: how others speak of its absence.
_SPEAK = {
    "dockerd": r"docker\.sock|Is dockerd running",
    "containerd": r"containerd\.sock",
    "libvirtd": r"libvirt-sock|Connection to libvirt|[Cc]annot recv data|client socket is closed",
    "glance": r"GlanceConnectionFailed|Connection to glance|glance.*(?:refused|Unable)",
    "neutron": r"Unable to establish connection to \S+/(?:networking|v2\.0)|Connection to neutron failed",
    "placement": r"PlacementAPIConnect|placement.*(?:refused|Unable|No known)",
    "keystone": r"[Kk]eystone.*(?:refused|Unable|unavailable)|Unable to establish connection to \S+/v3",
    "rabbitmq": r"MessagingTimeout|MessageDeliveryFailure|AMQP server|ECONNREFUSED",
    "mariadb": r"Can't connect to MySQL|Lost connection to MySQL|DBConnectionError",
    "ovsdb": r"Open vSwitch.*does not answer|ovsdb.*(?:refused|timeout)",
}
_PROCESS = re.compile(r"(?P<words>The server's (?:process|command)[^\n]+)")
_QEMU = re.compile(r"(?:qemu[\w-]*: |internal error: |error : )?(?P<words>[^:]+)$")
_SHORTLY = timedelta(seconds=30)
_LOST = "service that was at work on it ended meanwhile"


def daemon_away(case: Case) -> Cause | None:
    """A service that the build needs did not run, and somebody complained of that."""
    if not (case.failed or case.status == "UNKNOWN"):
        return None
    for service, words in _SPEAK.items():
        gap = case.outage(service)
        if gap and re.search(words, case.told):
            complaint = next(
                (each for each in case.entries if each.level == "error" and re.search(words, each.text)), None
            )
            return Cause(
                rule="service-down",
                sentence=f"{service} {gap.told} while the server was "
                "being built, which cannot be done without it.",
                evidence=(str(gap), *lines([complaint])),
                fix=again(case),
            )
    return None


def interrupted(case: Case) -> Cause | None:
    """Its nova-compute ended while it built the server, and gave it up when it began anew.

    Source: nova/compute/manager.py, _init_instance, which leaves no fault.
    """
    gap = case.outage(case.compute) if case.compute else None
    if case.status != "ERROR" or case.fault or gap is None or gap.end is None:
        return None
    if not case.began <= gap.end <= case.ended + _SHORTLY:
        return None
    return Cause(
        rule="build-interrupted",
        sentence=f"{case.compute} {gap.how} while it built the server; when it ran again it gave up what was "
        "half built.",
        evidence=(str(gap), "Nova keeps no fault of it", *lines([case.find("Claim successful", own=True)])),
        fix=f"openstack server delete {case.id}   # and create it again",
    )


def lost(case: Case) -> Cause | None:
    """Whoever had the request to build it ended, and our conductor found that nobody has it any more.

    Source: novadocker/conductor/manager.py.
    """
    if case.status != "ERROR" or _LOST not in case.fault:
        return None
    had = ("nova-conductor", case.compute, "nova-api", "rabbitmq")
    gap = next((each for name in had for each in reversed(case.all_outages.get(name, ()))
                if each.begin >= case.began - _SHORTLY), None)  # fmt: skip
    who = f"{gap.service} {gap.told}" if gap else "A service ended"
    return Cause(
        rule="build-lost",
        sentence=f"{who} when it had the request to build the server, which is lost with it.",
        evidence=(
            *([str(gap)] if gap else []),
            *lines([case.find("Nobody works on the build of", own=True)]),
            f"fault: {case.fault}",
        ),
        fix=f"openstack server delete {case.id}   # and create it again",
    )


def process_failed(case: Case) -> Cause | None:
    """The container's process could not be run, or ended with an error as soon as it began."""
    found = _PROCESS.search(case.fault) or _PROCESS.search(case.words)
    if found is None:
        return None
    words = found["words"]
    image = case.part("image", {}).get("name") or "IMAGE"
    return Cause(
        rule="process-failed",
        sentence=f"{words.rstrip('.')}.",
        evidence=(
            *lines(
                [
                    case.find("Instance failed to spawn", own=True),
                    case.find("ended with|was killed", own=True),
                ]
            ),
            f"fault: {case.fault}",
        ),
        fix=f"openstack image set --property os_command_line='COMMAND' {image}   # or mend the image; then "
        "create it again",
    )


def qemu_refused(case: Case) -> Cause | None:
    """QEMU ended instead of running the VM; its last words are libvirt's error."""
    found = re.search(
        r"(?:process exited while connecting to monitor|(?i:qemu) unexpectedly closed the monitor)[^:]*: "
        r"(?P<words>[^\n]+)",
        case.told,
    )
    if found is None:
        return None
    words = re.sub(r"^(?:\S+ )?qemu(?:-system-\S+)?: ", "", found["words"].strip())
    kernel = case.part("image", {}).get("kernel")
    evidence = lines(
        [case.find("Failed to start libvirt guest", own=True), case.find("Error from last host", own=True)]
    )
    if "kernel" in words and kernel:
        return Cause(
            rule="kernel-not-bootable",
            sentence=f"QEMU cannot boot the kernel its image names (kernel image {kernel}): {words}.",
            evidence=(*evidence, f"Glance: image {case.part('image', {}).get('name')}: kernel_id {kernel}"),
            fix="openstack image create --container-format aki --disk-format aki --file VMLINUZ KERNEL, and: "
            f"openstack image set --property kernel_id=ID {case.server.get('image') or 'IMAGE'}",
        )
    return Cause(
        rule="qemu-refused",
        sentence=f"QEMU ended before the VM ran: {words}.",
        evidence=evidence,
        fix=f"nova-docker logs {case.id}   # with the domain's XML: what QEMU refuses comes from properties "
        "of the image or the flavor",
    )


def told_by_driver(case: Case) -> Cause | None:
    """What the container driver refused: its words are the cause already."""
    if case.kind != "container" or not case.failed or "aborted: " not in str(case.server.get("fault")):
        return None
    if "Failed to allocate" in case.fault or "Binding failed" in case.fault:
        return None
    return Cause(
        rule="driver-refused",
        sentence=case.fault,
        evidence=lines([case.find("Instance failed to spawn", own=True)]) or (f"fault: {case.fault}",),
        fix=f"nova-docker logs {case.id}   # put right what it says; then create it again",
    )


RULES = (lost, daemon_away, interrupted, process_failed, qemu_refused)
LAST = (told_by_driver,)
