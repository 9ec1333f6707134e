# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""docs/reference/driver-options.md: the driver's own options, and which of Nova's it obeys."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from nova.conf import opts as nova_opts
from oslo_config import types
from oslo_privsep import capabilities
from tools.reference import markdown
from vif_plug_ovs import ovs

from novadocker.virt.docker import conf, privsep


@dataclass(frozen=True)
class Obeyed:
    """An option of Nova's or os-vif's and what the driver makes of it.

    :ivar read: whether our code reads it; else Nova does, on the driver's behalf.
    """

    group: str
    name: str
    what: str
    read: bool = True


OBEYED = (
    Obeyed(
        "DEFAULT",
        "host",
        "The service's name, the node's name (`hypervisor_hostname`), and the owner's mark on every "
        "container and port; where libvirt runs beside it, another name than libvirt's.",
    ),
    Obeyed(
        "DEFAULT",
        "my_ip",
        "The host's address, in what Nova records of the host and of moves.",
    ),
    Obeyed(
        "DEFAULT",
        "instances_path",
        "A folder for each server, with the resolv.conf and hosts mounted into it, and images on their way "
        "into the daemon. Root of the containers must be able to pass through it.",
    ),
    Obeyed(
        "DEFAULT",
        "shutdown_timeout",
        "Seconds a process has to end after its stop signal, where its image has no `os_shutdown_timeout`.",
    ),
    Obeyed(
        "serial_console",
        "enabled",
        "Offer interactive consoles.",
    ),
    Obeyed(
        "serial_console",
        "proxyclient_address",
        "The address consoles listen on for nova-serialproxy, at `[docker] console_port`.",
    ),
    Obeyed(
        "consoleauth",
        "token_ttl",
        "Seconds for which the secret that opens a console is good.",
    ),
    Obeyed(
        "DEFAULT",
        "vif_plugging_is_fatal",
        "False lets a server start although Neutron did not report its ports as working in time. Only "
        "where Neutron's event is waited for: a port that OVN has not installed always ends the start.",
    ),
    Obeyed(
        "DEFAULT",
        "reserved_host_cpus",
        "Processors kept back from servers; the total reported is the machine's.",
    ),
    Obeyed(
        "compute",
        "cpu_dedicated_set",
        "Processors handed out one by one to servers whose flavor has `hw:cpu_policy=dedicated`: PCPU. No "
        "other hypervisor of the machine may use them: the driver does not start where one does.",
        read=False,
    ),
    Obeyed(
        "compute",
        "cpu_shared_set",
        "Processors of all other servers: VCPU. With one of the two sets `reserved_host_cpus` must be 0.",
        read=False,
    ),
    Obeyed(
        "DEFAULT",
        "reserved_host_memory_mb",
        "Memory kept back, in MiB.",
    ),
    Obeyed(
        "DEFAULT",
        "reserved_host_disk_mb",
        "Disk kept back, in MiB, of the file system the daemon's storage is on.",
        read=False,
    ),
    Obeyed(
        "DEFAULT",
        "cpu_allocation_ratio",
        "Overcommit of VCPU; the largest single server stays the machine.",
        read=False,
    ),
    Obeyed(
        "DEFAULT",
        "ram_allocation_ratio",
        "Overcommit of MEMORY_MB.",
        read=False,
    ),
    Obeyed(
        "DEFAULT",
        "disk_allocation_ratio",
        "Overcommit of DISK_GB.",
        read=False,
    ),
    Obeyed(
        "DEFAULT",
        "initial_cpu_allocation_ratio",
        "The same, as long as nobody set it in Placement.",
        read=False,
    ),
    Obeyed(
        "DEFAULT",
        "initial_ram_allocation_ratio",
        "The same for MEMORY_MB.",
        read=False,
    ),
    Obeyed(
        "DEFAULT",
        "initial_disk_allocation_ratio",
        "The same for DISK_GB.",
        read=False,
    ),
    Obeyed(
        "DEFAULT",
        "resume_guests_state_on_host_boot",
        "True starts what ran before the host went down; else Nova notes it as stopped.",
        read=False,
    ),
    Obeyed(
        "image_cache",
        "manager_interval",
        "Seconds between two looks at the images on the daemon; -1 for none.",
        read=False,
    ),
    Obeyed(
        "image_cache",
        "remove_unused_base_images",
        "False keeps every image that was ever loaded.",
    ),
    Obeyed(
        "image_cache",
        "remove_unused_original_minimum_age_seconds",
        "Seconds an image stays on the daemon after the last server that needed it.",
    ),
    Obeyed(
        "os_vif_ovs",
        "ovsdb_connection",
        "The Open vSwitch database, for os-vif and for the driver's marks. The default is no place a stock "
        "Open vSwitch listens at: give its unix socket.",
    ),
)


def page() -> str:
    """Return the page."""
    [(group, own)] = conf.list_opts()
    return markdown.page(
        "# Options of the driver",
        markdown.written_from("novadocker.virt.docker.conf and nova.conf"),
        "nova-compute reads them from the files given with `--config-file`; later files win. A change is "
        "seen when nova-compute starts again.",
        f"## `[{group.name}]`",
        markdown.table(
            ("option", "type", "default", "what it does"),
            [(f"`{each.name}`", _type(each.type), _default(each), each.help) for each in own],
        ),
        f"## `[{privsep.context.cfg_section}]`",
        "The helper process that does what needs privileges (network devices and namespaces), with "
        "oslo.privsep's own options; `helper_command` says how to start it. Where nova-compute runs as root "
        f"there is none. It keeps {_words([f'`{name}`' for name in _privileges()])}.",
        "## Options of Nova's that the driver obeys",
        markdown.table(
            ("group", "option", "default", "what the driver makes of it"),
            [(f"`[{each.group}]`", f"`{each.name}`", _default(_theirs(each)), each.what) for each in OBEYED],
        ),
        "Neutron, Glance and Placement are reached as Nova's own sections say. The driver does not read "
        "`vif_plugging_timeout`: `[docker] port_ready_timeout` stands in for it.",
    )


def _theirs(obeyed: Obeyed) -> Any:
    for group, option in _known():
        if (group, option.dest) == (obeyed.group, obeyed.name):
            return option
    raise LookupError(f"Neither Nova nor os-vif has an option [{obeyed.group}] {obeyed.name}.")


def _known() -> Iterator[tuple[str, Any]]:
    for group, known in nova_opts.list_opts():
        yield from ((getattr(group, "name", group), option) for option in known)
    yield from (("os_vif_ovs", option) for option in ovs.OvsPlugin.CONFIG_OPTS)


def _type(kind: Any) -> str:
    if getattr(kind, "choices", None):
        return "one of " + ", ".join(f"`{choice}`" for choice in kind.choices)
    if isinstance(kind, types.Boolean):
        return "true or false"
    if isinstance(kind, types.Number):
        word = "whole number" if isinstance(kind, types.Integer) else "number"
        limits = ((kind.min, "at least"), (kind.max, "at most"))
        return ", ".join([word, *(f"{words} {limit:g}" for limit, words in limits if limit is not None)])
    if isinstance(kind, types.String):
        return "text"
    raise LookupError(f"There are no words yet for options of type {kind!r}.")


def _default(option: Any) -> str:
    # Some defaults are this machine's own; Nova gives such options a sample for its documentation.
    value = option.default if option.sample_default is None else option.sample_default
    if value in (None, ""):
        return "empty"
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def _privileges() -> list[str]:
    return sorted(capabilities.CAPS_BYVALUE[one] for one in privsep.context.conf.capabilities)


def _words(items: list[str]) -> str:
    return f"{', '.join(items[:-1])} and {items[-1]}" if len(items) > 1 else "".join(items)
