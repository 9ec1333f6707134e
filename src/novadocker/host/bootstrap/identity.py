# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""Keystone's content: service users and endpoints, the demo project and its two users."""

from openstack.connection import Connection

from novadocker.host.bootstrap import session
from novadocker.host.secrets import Secret
from novadocker.host.services.model import Cloud

# type: (name, port's name, path)
CATALOGUE = {
    "identity": ("keystone", "keystone", "/v3"),
    "image": ("glance", "glance", ""),
    "placement": ("placement", "placement", ""),
    "network": ("neutron", "neutron", ""),
    "compute": ("nova", "nova-api", "/v2.1"),
}
# `keystone-manage bootstrap` makes three of its own, at the port it had then.
INTERFACES = {"identity": ("public", "internal", "admin")}
SERVICE_USERS = ("glance", "placement", "neutron", "nova")


def passwords(cloud: Cloud) -> dict[str, Secret]:
    """The passwords of the users that are the cloud's own, by their names."""
    names = {"admin": "admin", session.MEMBER: "member", session.ALTERNATIVE: "alt"}
    names |= {name: f"{name}-user" for name in SERVICE_USERS}
    return {user: cloud.secrets[name] for user, name in names.items()}


def fill(cloud: Cloud) -> bool:
    """Make what is missing; say whether anything was."""
    with session.administrator(cloud) as connection:
        projects = {project.name: project for project in connection.identity.projects()}
        users = {user.name: user for user in connection.identity.users()}
        roles = {role.name: role for role in connection.identity.roles()}
        changed = False
        members = {session.MEMBER: session.PROJECT}
        if cloud.config.devstack:
            members[session.ALTERNATIVE] = session.ALTERNATIVE
        for name in ("service", *members.values()):
            if name not in projects:
                projects[name] = connection.identity.create_project(name=name, domain_id="default")
                changed = True
        wanted = {name: projects["service"] for name in SERVICE_USERS}
        wanted |= {user: projects[project] for user, project in members.items()}
        known = passwords(cloud)
        for name, project in wanted.items():
            if name not in users:
                users[name] = connection.identity.create_user(
                    name=name, password=str(known[name]), domain_id="default", default_project_id=project.id
                )
                changed = True
        grants = [(user, "service", role) for user in SERVICE_USERS for role in ("service", "admin")]
        for user, project in members.items():
            grants += [(user, project, "member"), ("admin", project, "admin")]
        held = {
            (grant.user["id"], (grant.scope.get("project") or {}).get("id"), grant.role["id"])
            for grant in connection.identity.role_assignments()
            if grant.user
        }
        for user, project, role in grants:
            if (users[user].id, projects[project].id, roles[role].id) not in held:
                connection.identity.assign_project_role_to_user(projects[project], users[user], roles[role])
                changed = True
        return _catalogue(cloud, connection) or changed


def _catalogue(cloud: Cloud, connection: Connection) -> bool:
    services = {service.type: service for service in connection.identity.services()}
    endpoints = {(point.service_id, point.interface): point for point in connection.identity.endpoints()}
    changed = False
    for kind, (name, port, path) in CATALOGUE.items():
        if kind not in services:
            services[kind] = connection.identity.create_service(type=kind, name=name)
            changed = True
        for interface in INTERFACES.get(kind, ("public", "internal")):
            url, known = cloud.url(port, path), endpoints.get((services[kind].id, interface))
            if known is None:
                connection.identity.create_endpoint(
                    service_id=services[kind].id, interface=interface, url=url, region_id=cloud.config.region
                )
            elif known.url != url:
                connection.identity.update_endpoint(known, url=url)
            changed = changed or known is None or known.url != url
    return changed
