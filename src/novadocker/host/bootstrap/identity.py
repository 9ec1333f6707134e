# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""Keystone's content: service users and endpoints, the demo project and its two users."""

import base64
import hashlib
import os

from openstack.connection import Connection

from novadocker.host.bootstrap import databases, session
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

# As many as Keystone takes itself for this kind of hash (keystone/common/password_hashers/pbkdf2.py). Its
# usual kind, bcrypt, takes ten times as long at every login, which protects words that people choose; ours
# are 160 random bits.
_ROUNDS = 25000
_SET_PASSWORD = (
    "UPDATE keystone.password SET password_hash = %s, expires_at = NULL, expires_at_int = NULL "
    "WHERE local_user_id IN "
    "(SELECT id FROM keystone.local_user WHERE name = %s AND domain_id = 'default')"
)


def passwords(cloud: Cloud) -> dict[str, Secret]:
    """The passwords of the users that are the cloud's own, by their names."""
    names = {"admin": "admin", session.MEMBER: "member", session.ALTERNATIVE: "alt"}
    names |= {name: f"{name}-user" for name in SERVICE_USERS}
    return {user: cloud.secrets[name] for user, name in names.items()}


def set_passwords(cloud: Cloud, cursor: databases.Cursor) -> None:
    """Give the users that are the cloud's own their passwords, in a form that is read fast."""
    for user, password in passwords(cloud).items():
        cursor.execute(_SET_PASSWORD, (hashed(password), user))


def hashed(password: str) -> str:
    """A password as Keystone keeps it."""
    salt = os.urandom(16)
    digest = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, _ROUNDS)
    words = [base64.b64encode(each).rstrip(b"=").decode() for each in (salt, digest)]
    return f"$pbkdf2-sha512${_ROUNDS}${'$'.join(words)}"


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
        missing = [name for name in wanted if name not in users]
        for name in missing:
            users[name] = connection.identity.create_user(
                name=name,
                password=str(known[name]),
                domain_id="default",
                default_project_id=wanted[name].id,
            )
        if missing:
            changed = True
            with databases.root_session(cloud) as cursor:
                set_passwords(cloud, cursor)
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
