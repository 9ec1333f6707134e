# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""Look at everything at once; what cannot be seen is noted with its reason, and nothing is changed."""

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import openstack
from keystoneauth1.exceptions import ClientException
from openstack.connection import Connection
from openstack.exceptions import SDKException

from novadocker.errors import NovaDockerError
from novadocker.host.bootstrap import session
from novadocker.host.evidence import cloud as apis
from novadocker.host.evidence import domains, engine, images, machine, ours, processes, services, switch
from novadocker.host.evidence.model import Evidence, NotSeen
from novadocker.host.services.model import Cloud

_APIS = (
    "computes", "hypervisors", "agents", "servers", "ports", "networks", "providers", "migrations", "images",
)  # fmt: skip


def gather(cloud: Cloud | None, *, root: Path, environment: Mapping[str, str], damaged: str = "") -> Evidence:
    """Look at the machine, and at our cloud on it or at the one the environment names.

    :param root: where a cloud of ours would lie.
    :param environment: with OS_CLOUD or OS_AUTH_URL in it, a cloud of somebody else's is asked.
    :param damaged: why a cloud of ours that is there could not be remembered.
    """
    parts: dict[str, Any] = {
        "now": datetime.now(UTC).isoformat(),
        "ours": ours.intended(cloud) if cloud else {},
        "damaged": damaged,
    }
    missing: dict[str, str] = {}
    # Somebody's own beside ours is none of our business.
    ovs = cloud.layout.ovs_socket if cloud else switch.USUAL_SOCKET
    docker = cloud.layout.docker_socket if cloud else engine.USUAL_SOCKET
    libvirt = cloud.layout.libvirt_socket if cloud else domains.USUAL_SOCKET
    first: dict[str, Callable[[], Any]] = {
        "names": machine.names,
        "kernel": machine.kernel,
        "programs": machine.programs,
        "virtualisation": machine.virtualisation,
        "control_groups": machine.control_groups,
        "room": lambda: machine.room(root),
        "settings": machine.settings,
        "forwarding": machine.forwarding,
        "links": machine.links,
        "processes": processes.programs,
        "orphans": machine.orphans,
        "holders": lambda: processes.holders(_container_folders(cloud, root)),
        "domains": lambda: domains.state(libvirt) if libvirt.exists() else [],
        "switches": lambda: [switch.state(ovs)] if ovs.exists() else [],
        "engines": lambda: [engine.state(docker)] if docker.exists() else [],
    }
    if cloud is not None:
        first |= {
            "upkeep": lambda: ours.upkeep(cloud),
            "folders": lambda: ours.folders(cloud),
            "hash_ring": lambda: ours.hash_ring(cloud),
        }
    _look(first, parts, missing)
    then = {
        "offloads": lambda: _offloads(parts, missing),
        "services": lambda: services.configured(_part(parts, missing, "processes")),
        "cookies": lambda: _cookies(_part(parts, missing, "switches")),
    }
    _look(then, parts, missing)
    try:
        with _connection(cloud, environment) as connection:
            asked = {name: lambda name=name: apis.asked(getattr(apis, name), connection) for name in _APIS}
            _look(asked, parts, missing)
    except Exception as reason:  # noqa: BLE001 - whatever breaks is what there is to tell
        missing.update({name: str(reason) for name in _APIS})
    if cloud is not None and "images" in parts:
        store = cloud.layout.data / "glance" / "images"
        _look({"images": lambda: images.with_archives(parts["images"], store=store)}, parts, missing)
    return Evidence(parts, missing)


def _look(questions: Mapping[str, Callable[[], Any]], parts: dict[str, Any], missing: dict[str, str]) -> None:
    def ask(name: str) -> tuple[str, Any, str]:
        try:
            return name, questions[name](), ""
        except Exception as reason:  # noqa: BLE001 - whatever breaks is what there is to tell
            return name, None, str(reason) or type(reason).__name__

    with ThreadPoolExecutor(max_workers=8) as pool:
        for name, value, reason in pool.map(ask, questions):
            if reason:
                missing[name] = reason
            else:
                parts[name] = value


def _part(parts: Mapping[str, Any], missing: Mapping[str, str], name: str) -> Any:
    return Evidence(parts, missing)[name]


def _container_folders(cloud: Cloud | None, root: Path) -> list[Path]:
    if cloud is not None:
        return [cloud.layout.data / "docker", cloud.layout.run / "docker"]
    # A cloud of ours that is gone may have left something that is held.
    return [Path("/var/lib/docker"), Path("/run/docker"), root / "data" / "docker"]


def _offloads(parts: Mapping[str, Any], missing: Mapping[str, str]) -> list[dict[str, Any]]:
    """Only where a bridge is in userspace does it matter."""
    switches = _part(parts, missing, "switches")
    if not any(bridge["datapath"] == "netdev" for each in switches for bridge in each["bridges"]):
        return []
    return engine.offloads(_part(parts, missing, "engines"))


def _cookies(switches: list[dict[str, Any]]) -> dict[str, dict[str, int]]:
    return {
        bridge["name"]: switch.cookies(bridge["name"], folder=Path(found["socket"]).parent)
        for found in switches
        for bridge in found["bridges"]
    }


@contextmanager
def _connection(cloud: Cloud | None, environment: Mapping[str, str]) -> Iterator[Connection]:
    if cloud is not None:
        try:
            with session.administrator(cloud) as connection:
                connection.authorize()
                yield connection
        except NovaDockerError as error:
            raise NotSeen(f"the cloud's APIs do not answer: {error.facts[:200]}") from error
        return
    if not {"OS_CLOUD", "OS_AUTH_URL"} & set(environment):
        raise NotSeen("no cloud of ours is here, and neither OS_CLOUD nor OS_AUTH_URL names another")
    try:
        connection = openstack.connect(app_name="nova-docker")
        connection.authorize()
    except (SDKException, ClientException) as error:
        raise NotSeen(f"the cloud the environment names does not answer: {str(error)[:200]}") from error
    try:
        yield connection
    finally:
        connection.close()
