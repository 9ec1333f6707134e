# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""Take secrets out of text (pure): those that are known, wherever they stand, and what looks like one."""

import base64
import json
import re
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import quote

STARS = "***"
# A shorter one, or one of these, stands in every other line as an ordinary word.
_LEAST = 6
_ORDINARY = frozenset({"password", "secret", "service", "default", "openstack", "changeme"})

_SECRET = (
    r"(?:pass(?:word|wd|phrase)?|secret|token|(?:erlang|session)[_-]?cookie|credentials?"
    r"|(?:secret|private|auth|encryption|access|host|api)[_-]?key)"
)
# A switch or a number: `send_service_user_token = true`.
_PLAIN = r"(?:true|false|none|yes|no|on|off|\d{1,5})[ \t]*"
# `name = value` of a configuration file.
_OPTION = re.compile(rf"(?im)^(?P<name>\s*[\w.-]*{_SECRET}[ \t]*=[ \t]*)(?P<value>(?!{_PLAIN}$)\S[^\n]*)$")
_URL = re.compile(r"(?P<before>[a-z][a-z0-9+.-]*://[^\s/:@'\"]*:)(?P<value>[^\s/@'\"]+)(?=@)", re.IGNORECASE)
# Each leaves what stands before it, and the quote or blank behind.
_LOOKS = (
    _OPTION,
    _URL,
    # JSON, Python's own notation of a table, YAML.
    re.compile(rf"(?i)(?P<before>['\"][\w-]*{_SECRET}['\"]\s*:\s*u?['\"])(?P<value>[^'\"]+)"),
    re.compile(rf"(?im)^(?P<before>\s*[\w-]*{_SECRET}:[ \t]+)(?P<value>(?!{_PLAIN}$)\S[^\n]*)$"),
    re.compile(r"(?i)(?P<before>\b(?:x-(?:auth|subject|service)-token|authorization)['\"]?[:=]\s*['\"]?)"
               r"(?P<value>[^'\"\r\n]+)"),
    # A command line's and an environment's.
    re.compile(rf"(?i)(?P<before>--[\w-]*{_SECRET}[= ])(?P<value>[^\s'\"]+)"),
    re.compile(rf"(?i)(?P<before>\b\w*{_SECRET}=)(?P<value>[^\s'\"&,]+)"),
    # What opens a console, as nova-serialproxy logs it.
    re.compile(r"(?i)(?P<before>\btoken[:=]\s*['\"]?)(?P<value>[\w-]{8,})"),
    re.compile(r"(?P<value>gAAAA[A-Za-z0-9_-]{20,}={0,2})"),
    re.compile(
        r"(?s)(?P<value>-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z))"
    ),
)  # fmt: skip
_NAMED = re.compile(rf"(?i)[\w-]*{_SECRET}")


def told_in(text: str) -> set[str]:
    """The secrets a configuration file tells: its passwords, keys and the passwords in its URLs."""
    found = {match["value"].strip() for pattern in (_OPTION, _URL) for match in pattern.finditer(text)}
    return {value for value in found if _telling(value)}


class Redactor:
    """Takes the `known` secrets out of texts and values, in each of the ways they may be written."""

    def __init__(self, known: Iterable[str]) -> None:
        forms = {form for value in known if _telling(value) for form in _forms(value)}
        # The longest first: one may begin with another.
        ordered = sorted(forms, key=lambda form: (-len(form), form))
        self._known = re.compile("|".join(map(re.escape, ordered))) if ordered else None

    def text(self, text: str) -> str:
        """The text without them, and without what looks like one."""
        if self._known:
            text = self._known.sub(STARS, text)
        for pattern in _LOOKS:
            text = pattern.sub(_covered, text)
        return text

    def value(self, value: Any) -> Any:
        """The same for what JSON can hold; keys stay."""
        match value:
            case str():
                return self.text(value)
            case Mapping():
                return {
                    key: STARS if isinstance(inner, str) and _NAMED.fullmatch(str(key)) else self.value(inner)
                    for key, inner in value.items()
                }
            case list() | tuple():
                return [self.value(inner) for inner in value]
        return value


def _telling(value: str) -> bool:
    return len(value) >= _LEAST and value.lower() not in _ORDINARY and set(value) != {"*"}


def _forms(value: str) -> set[str]:
    encoded = base64.b64encode(value.encode()).decode()
    return {value, quote(value, safe=""), json.dumps(value)[1:-1], encoded.rstrip("=")}


def _covered(match: re.Match[str]) -> str:
    return (
        match[0][: match.start("value") - match.start()]
        + STARS
        + match[0][match.end("value") - match.start() :]
    )
