# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""What a user's own clients need: entries in their clouds.yaml, or exports for a shell.

The user's file is theirs: our entries go in as a marked block of text and come out as the same block, and
every other byte stays. What the block does to the file is checked by parsing before anything is written.
"""

import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path
from typing import Any, Literal

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap
from ruamel.yaml.error import YAMLError

from novadocker import files
from novadocker.errors import NovaDockerError

# Written above a file of our own making; the number says how many folders were made for it.
_MADE = "# `nova-docker up` made this file and {folders} folder(s) for it; `nova-docker down` removes them.\n"
_MADE_PATTERN = re.compile(re.escape(_MADE).replace(re.escape("{folders}"), r"(?P<folders>\d+)"))
_KEY = "clouds:  # this line by nova-docker\n"
# Left over from another cloud, these change what the exported ones mean.
_UNSET = (
    "OS_CLOUD", "OS_TOKEN", "OS_SYSTEM_SCOPE", "OS_DOMAIN_ID", "OS_DOMAIN_NAME", "OS_PROJECT_ID",
    "OS_TENANT_ID", "OS_TENANT_NAME", "OS_USER_ID", "OS_USER_DOMAIN_ID", "OS_PROJECT_DOMAIN_ID",
    "OS_TRUST_ID", "OS_CACERT",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class CloudAccess:
    """How one user reaches the cloud."""

    name: str  # of the entry, as in `--os-cloud NAME`
    auth_url: str
    username: str
    password: str = field(repr=False)
    project_name: str = ""
    system_scope: str = ""  # in place of a project
    user_domain_name: str = "Default"
    project_domain_name: str = "Default"
    region_name: str
    cacert: Path | None = None


def user_file(*, environment: Mapping[str, str], home: Path, system: Path = Path("/etc/openstack")) -> Path:
    """The file in which the user's clients look up a cloud.

    The first that openstacksdk would find wins there and hides the others, so that is the one to add to; a
    clouds.yaml of the current folder counts only for those who stand in it. Without any: the user's own.
    """
    if named := environment.get("OS_CLIENT_CONFIG_FILE"):
        return Path(named).expanduser()
    own = Path(environment.get("XDG_CONFIG_HOME") or home / ".config") / "openstack"
    for folder in (own, system):
        for suffix in ("yaml", "yml", "json"):
            if (file := folder / f"clouds.{suffix}").is_file():
                return file
    return own / "clouds.yaml"


def write(path: Path, accesses: Sequence[CloudAccess]) -> bool:
    """Put the entries into the file `path`, or bring them up to date; say whether anything changed.

    :raises NovaDockerError: if the file cannot be understood or has an entry of such a name that is not ours;
        nothing is changed then.
    """
    path = path.resolve()  # a link stays a link
    if path.suffix == ".json":
        raise NovaDockerError(
            f"{path} is JSON, to which no entry can be added without rewriting it.",
            hint="Turn it into clouds.yaml, or use `nova-docker env`.",
        )
    if path.exists():
        old = _text(path)
        new = merged(old, accesses, name=str(path))
        status = path.stat()
        return new != old and files.write(
            path, new, mode=status.st_mode & 0o7777, uid=status.st_uid, gid=status.st_gid
        )
    missing = [folder for folder in path.parents if not folder.exists()]
    for folder in reversed(missing):
        files.make_directory(folder, mode=0o700)
    return files.write(path, merged(_MADE.format(folders=len(missing)), accesses, name=str(path)), mode=0o600)


def remove(path: Path, *, name: str) -> bool:
    """Take out what `write` put in under the first entry's `name`; a file and folders made by it go as well.

    :raises NovaDockerError: if the file cannot be understood without our entries; nothing is changed then.
    """
    path = path.resolve()
    if not path.exists():
        return False
    old = _text(path)
    new = without(old, name=name)
    if made := _MADE_PATTERN.fullmatch(new):
        path.unlink()
        for folder in list(path.parents)[: int(made["folders"])]:
            if any(folder.iterdir()):
                break
            folder.rmdir()
        return True
    if new == old:
        return False
    _parsed(new, name=str(path))
    status = path.stat()
    return files.write(path, new, mode=status.st_mode & 0o7777, uid=status.st_uid, gid=status.st_gid)


def merged(text: str, accesses: Sequence[CloudAccess], *, name: str = "clouds.yaml") -> str:
    """`text` of a clouds.yaml with our entries in it, an earlier block of ours replaced; pure.

    :raises NovaDockerError: as `write` does.
    """
    first = accesses[0].name
    _parsed(text, name=name)
    base = without(text, name=first)
    theirs = _parsed(base, name=name)
    clouds = theirs.get("clouds")
    if clouds is not None and not isinstance(clouds, CommentedMap):
        raise NovaDockerError(
            f"In {name}, clouds is no mapping.", hint="Mend it, then run the command again."
        )
    for access in accesses:
        if clouds is not None and access.name in clouds:
            raise NovaDockerError(
                f"{name} already has a cloud named {access.name} that nova-docker did not write.",
                hint="Rename that entry, or give this cloud another name; `nova-docker env` needs no file.",
            )
    lines = base.splitlines(keepends=True)
    if present := _present(first).search(text):
        # Where it is: another cloud's block may stand before it.
        indent = len(present[0]) - len(present[0].lstrip(" "))
        new = text[: present.start()] + _block(accesses, indent=indent) + text[present.end() :]
        _check(new, theirs=theirs, accesses=accesses, name=name)
        return new
    if clouds:
        at = theirs.lc.key("clouds")[0] + 1
        block = _block(accesses, indent=clouds.lc.key(next(iter(clouds)))[1])
    elif "clouds" in theirs:
        at, block = theirs.lc.key("clouds")[0] + 1, _block(accesses, indent=2)
    else:
        at = theirs.lc.key(next(iter(theirs)))[0] if theirs else len(lines)
        if lines and at == len(lines) and not lines[-1].endswith("\n"):
            lines[-1] += "\n"
        block = _KEY + _block(accesses, indent=2)
    new = "".join([*lines[:at], block, *lines[at:]])
    _check(new, theirs=theirs, accesses=accesses, name=name)
    return new


def without(text: str, *, name: str) -> str:
    """`text` of a clouds.yaml as it was before `merged`, whatever else was written to it since; pure."""
    text = _present(name).sub("", text, count=1)
    # Somebody may have added an entry of their own under our key since: then it stays.
    at = text.find(_KEY)
    if at != -1 and not text[at + len(_KEY) :].startswith((" ", "\t", "#")):
        text = text[:at] + text[at + len(_KEY) :]
    return text


def exports(access: CloudAccess, *, syntax: Literal["posix", "fish"] = "posix") -> str:
    """Shell commands that make `access` the one every OpenStack client uses; for `eval`; pure."""
    values = {
        "OS_AUTH_TYPE": "password",
        "OS_AUTH_URL": access.auth_url,
        "OS_IDENTITY_API_VERSION": "3",
        "OS_USERNAME": access.username,
        "OS_PASSWORD": access.password,
        "OS_USER_DOMAIN_NAME": access.user_domain_name,
        "OS_PROJECT_NAME": access.project_name,
        "OS_PROJECT_DOMAIN_NAME": access.project_domain_name,
        "OS_REGION_NAME": access.region_name,
    }
    if access.cacert is not None:
        values["OS_CACERT"] = str(access.cacert)
    unset = [variable for variable in _UNSET if variable not in values]
    if syntax == "fish":
        lines = [f"set -e {variable}" for variable in unset]
        lines += [f"set -gx {variable} {_fish(value)}" for variable, value in values.items()]
        return "".join(f"{line};\n" for line in lines)
    lines = [f"unset {' '.join(unset)}"]
    lines += [f"export {variable}={shlex.quote(value)}" for variable, value in values.items()]
    return "".join(f"{line}\n" for line in lines)


def _fish(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def _present(name: str) -> re.Pattern[str]:
    """What finds our block in a file."""
    begin, end = (re.escape(line) for line in _marks(name))
    return re.compile(rf"^[ ]*{begin}.*?^[ ]*{end}", re.MULTILINE | re.DOTALL)


def _marks(name: str) -> tuple[str, str]:
    return (
        f"# >>> {name}: `nova-docker up` writes these lines, `nova-docker down` removes them\n",
        f"# <<< {name}\n",
    )


def _block(accesses: Sequence[CloudAccess], *, indent: int) -> str:
    entries = StringIO()
    YAML(typ="rt").dump({access.name: _entry(access) for access in accesses}, entries)
    begin, end = _marks(accesses[0].name)
    lines = [begin, *entries.getvalue().splitlines(keepends=True), end]
    return "".join(" " * indent + line for line in lines)


def _entry(access: CloudAccess) -> dict[str, Any]:
    scope = {"project_name": access.project_name, "project_domain_name": access.project_domain_name}
    if access.system_scope:
        scope = {"system_scope": access.system_scope}
    entry: dict[str, Any] = {
        "auth": {
            "auth_url": access.auth_url,
            "username": access.username,
            "password": access.password,
            "user_domain_name": access.user_domain_name,
            **scope,
        },
        "region_name": access.region_name,
        "identity_api_version": 3,
    }
    if access.cacert is not None:
        entry["cacert"] = str(access.cacert)
    return entry


def _check(new: str, *, theirs: CommentedMap, accesses: Sequence[CloudAccess], name: str) -> None:
    """Whether `new` says what the user's text said, and our entries, and nothing else."""
    wanted = {
        **theirs,
        "clouds": {**(theirs.get("clouds") or {}), **{each.name: _entry(each) for each in accesses}},
    }
    try:
        same = _load(new) == wanted
    except YAMLError:
        same = False
    if not same:
        raise NovaDockerError(
            f"{name} is written in a way (such as `clouds: {{…}}`) to which no entry can be added safely.",
            hint="Put each cloud on lines of its own, or use `nova-docker env`; the file is unchanged.",
        )


def _parsed(text: str, *, name: str) -> CommentedMap:
    try:
        value = _load(text)
    except YAMLError as error:
        raise NovaDockerError(
            f"{name} is not valid YAML; it is left as it is.",
            facts=" ".join(str(error).split()),
            hint="Mend it, then run the command again.",
        ) from error
    if value is None:
        return CommentedMap()
    if not isinstance(value, CommentedMap):
        raise NovaDockerError(
            f"{name} holds no mapping at its top.", hint="Mend it, then run the command again."
        )
    return value


def _load(text: str) -> Any:
    return YAML(typ="rt").load(text)


def _text(path: Path) -> str:
    try:
        return path.read_bytes().decode()  # line ends as they are
    except UnicodeDecodeError as error:
        raise NovaDockerError(
            f"{path} is not UTF-8; it is left as it is.", hint="Mend it, then run the command again."
        ) from error
