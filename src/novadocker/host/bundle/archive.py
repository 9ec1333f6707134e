# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""Gather a bundle, write it, and read its evidence again elsewhere."""

import gzip
import io
import json
import tarfile
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from novadocker import files
from novadocker.host import observe
from novadocker.host.bundle import redact, sources
from novadocker.host.bundle.sources import Part
from novadocker.host.checks import registry
from novadocker.host.checks.model import moment
from novadocker.host.evidence.model import Evidence
from novadocker.host.services.model import Cloud

FOLDER = "nova-docker-bundle"
_EVIDENCE = "evidence.json"
_MOST_EVIDENCE = 256 << 20
_ABOUT = """\
What somebody needs to see what is wrong with a cloud, gathered by `nova-docker bundle` at {now}.

evidence.json   what doctor looked at; `nova-docker doctor --from THIS-FILE` judges it anywhere
findings.json   what doctor found in it
status.json     what `nova-docker status --json` said, of a cloud of ours
versions.json   what is installed
config/         the files services are configured by
logs/           the end of each log; those of a cloud of ours are in UTC
machine/        what programs show of the machine

Passwords, keys and tokens are {stars} everywhere: those that are known, and what looks like one.
Addresses, names of servers and projects are not. Look it over before you give it away.
{missing}"""


def gathered(cloud: Cloud | None, seen: Evidence, *, log_bytes: int) -> dict[str, str]:
    """The files of a bundle by their names, without a secret; what could not be had is said in README.txt.

    :param log_bytes: of each log's end.
    """
    missing: dict[str, str] = {}
    settings = _read(
        {
            name: partial(path.read_text, errors="replace")
            for name, path in sources.configuration(cloud, seen.parts).items()
        },
        missing,
    )
    known = {secret for text in settings.values() for secret in redact.told_in(text)}
    if cloud is not None:
        known |= set(_read_keys(cloud, missing))
    clean = redact.Redactor(known)
    evidence = Evidence.from_dict(clean.value(seen.to_dict()))
    said: dict[str, Part] = {
        _EVIDENCE: partial(_json, evidence.to_dict()),
        "findings.json": lambda: _json([each.to_dict() for each in registry.examine(evidence)]),
        "versions.json": lambda: _json(sources.versions()),
        **{name: partial(sources.end_of, path, size=log_bytes) for name, path in sources.logs(cloud).items()},
        **sources.shown(cloud, seen.parts),
    }
    if cloud is not None:
        said["status.json"] = lambda: _json(clean.value(observe.observe(cloud).to_dict()))
    found = {**settings, **_read(said, missing)}
    # JSON was redacted as values: as text a quote might go.
    done = {name: text if name.endswith(".json") and "/" not in name else clean.text(text)
            for name, text in found.items()}  # fmt: skip
    lines = [f"  {name}: {clean.text(reason)}" for name, reason in sorted(missing.items())]
    done["README.txt"] = _ABOUT.format(
        now=seen["now"], stars=redact.STARS, missing="\n".join(["\nNot there:", *lines, ""]) if lines else ""
    )
    return done


def _read(parts: Mapping[str, Part], missing: dict[str, str]) -> dict[str, str]:
    found = {}
    for name, part in sorted(parts.items()):
        try:
            found[name] = part()
        except Exception as reason:  # noqa: BLE001 - whatever breaks is what there is to tell
            missing[name] = str(reason) or type(reason).__name__
    return found


def _read_keys(cloud: Cloud, missing: dict[str, str]) -> list[str]:
    try:
        return list(sources.key_material(cloud))
    except OSError as reason:
        missing["keys"] = f"{reason}: what is secret of them is known by its looks alone"
        return []


def _json(value: Any) -> str:
    return json.dumps(value, indent=1, sort_keys=True, default=str) + "\n"


def packed(contents: Mapping[str, str], *, now: str) -> bytes:
    """The archive: the same contents give the same bytes."""
    when = int(moment(now).timestamp())
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, text in sorted(contents.items()):
            data = text.encode(errors="replace")
            entry = tarfile.TarInfo(f"{FOLDER}/{name}")
            entry.size, entry.mode, entry.mtime = len(data), 0o600, when
            archive.addfile(entry, io.BytesIO(data))
    return gzip.compress(plain.getvalue(), mtime=when)


def write(path: Path, contents: Mapping[str, str], *, now: str) -> None:
    """Write a bundle that nobody else can read."""
    files.write(path, packed(contents, now=now), mode=0o600)


def evidence(path: Path) -> Evidence:
    """The evidence in a bundle, or in a file that holds it alone.

    :raises ValueError: if there is none in it.
    """
    try:
        with tarfile.open(path) as archive:
            stream = archive.extractfile(f"{FOLDER}/{_EVIDENCE}")
            text = stream.read(_MOST_EVIDENCE) if stream else b""
    except tarfile.ReadError:
        return Evidence.from_dict(files.read_table(path))
    except (KeyError, EOFError, OSError) as error:
        raise ValueError(f"it is an archive, and no bundle of ours: {error}") from error
    values = json.loads(text)
    if not isinstance(values, dict):
        raise ValueError("its evidence is no table")  # noqa: TRY004 - as json's own error, which is one too
    return Evidence.from_dict(values)
