# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""Why an image could not become a server."""

import re

from novadocker.host.why.case import Case, Cause, lines

_UNACCEPTABLE = re.compile(r"Image (?P<id>[0-9a-f-]{36}) is unacceptable: (?P<words>[^\n]+)")
_GONE = re.compile(r"Image (?P<id>[0-9a-f-]{36}) could not be found")
_DISK = re.compile(
    r"Flavor's disk is too small for requested image\. Flavor disk is (?P<has>\d+) bytes, "
    r"image is (?P<needs>\d+) bytes"
)
_ROOM = re.compile(r"Unpacked it takes more than the (?P<has>\d+) MiB it may have here")
_NEW_ARCHIVE = (
    "docker save NAME | openstack image create --container-format docker --disk-format raw {name}"
    "   # then create the server from it"
)


def _named(case: Case) -> str:
    image = case.part("image", {})
    if image.get("name"):
        return f"image {image['name']} ({image['id']})"
    return f"image {case.server.get('image') or ''}".strip()


def _seen(case: Case) -> tuple[str, ...]:
    image = case.part("image", {})
    facts = [
        f"Glance: {_named(case)}: container format {image['container_format']}, {image['size']} bytes, "
        f"{image['status']}"
    ] if image.get("status") else []  # fmt: skip
    return (
        *lines([case.find("is unacceptable|could not be found|too small for requested image", own=True)]),
        *([f"fault: {case.fault}"] if case.fault else []),
        *facts,
    )


def gone(case: Case) -> Cause | None:
    """Its image was deleted, or is hidden from who asked."""
    image, told = case.part("image", {}), _GONE.search(case.told)
    if not (case.failed and (told or (image.get("gone") and "cannot be fetched" in case.told))):
        return None
    which = told["id"] if told else image.get("id", "")
    return Cause(
        rule="image-gone",
        sentence=f"Image {which} is not in Glance any more.",
        evidence=_seen(case),
        fix="openstack image list   # create the server from one that is there",
    )


def larger_than_disk(case: Case) -> Cause | None:
    """It takes more than the flavor's root disk."""
    disk, room = _DISK.search(case.told), _ROOM.search(case.told)
    if not (disk or room):
        return None
    has = int(disk["has"]) >> 20 if disk else int(room["has"]) if room else 0
    needs = f" and it takes {int(disk['needs']) >> 20} MiB" if disk else ", and unpacked it takes more"
    flavor = case.server.get("flavor") or {}
    larger = next(
        (each["name"] for each in case.part("flavors", []) if each["disk"] > (flavor.get("disk") or 0)),
        "FLAVOR",
    )
    return Cause(
        rule="image-larger-than-disk",
        sentence=f"Its {_named(case)} does not fit: flavor {flavor.get('name')} has a root disk of {has} MiB"
        f"{needs}.",
        evidence=_seen(case),
        fix=f"openstack server create --flavor {larger} …   # one with a larger root disk",
    )


def unacceptable(case: Case) -> Cause | None:
    """The hypervisor's side looked into it and refused it."""
    text = str((case.server.get("fault") or {}).get("message") or "")
    found = _UNACCEPTABLE.search(text) or _UNACCEPTABLE.search(case.told)
    if found is None:
        return None
    words = found["words"].strip()
    become = "a VM's disk" if case.kind == "VM" else "a container"
    return Cause(
        rule="image-unacceptable",
        sentence=f"Its {_named(case)} cannot become {become}: {words[0].lower()}{words[1:]}",
        evidence=_seen(case),
        fix=_remedy(case, words),
    )


def _remedy(case: Case, words: str) -> str:
    name = case.part("image", {}).get("name") or "NAME"
    if case.kind == "VM":
        return (
            f"openstack image create --disk-format FORMAT --file FILE {name}   # `qemu-img info FILE` tells"
        )
    if built := re.search(r"built for (\S+), this host is (\S+?)\.?$", words):
        platform = built[2].split("/")[-1]
        return f"docker pull --platform linux/{platform} NAME, and: {_NEW_ARCHIVE.format(name=name)}"
    if "nothing to run" in words:
        return f"openstack image set --property os_command_line='COMMAND' {name}   # or build it with a CMD"
    if "signature" in words:
        return f"openstack image show {name}   # its img_signature properties, and the key they name"
    return _NEW_ARCHIVE.format(name=name)


RULES = (larger_than_disk, gone, unacceptable)
