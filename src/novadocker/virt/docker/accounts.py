# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""A password in an account database, /etc/shadow (pure).

SHA-512 crypt, since every libc checks it: musl and busybox know no yescrypt, which Debian itself writes.
"""

import hashlib
import secrets
import time
from dataclasses import replace

from novadocker.virt.docker.facts import File

SHADOW = "/etc/shadow"

_ALPHABET = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_SALT_LENGTH = 16
_ROUNDS = 20_000
_DEFAULT_ROUNDS = 5_000
_DAY = 86_400


def with_password(shadow: File, *, user: str, password: str) -> File | None:
    """Return the database with a user's password replaced and all else kept; None without the user."""
    lines = shadow.content.split(b"\n")
    for number, line in enumerate(lines):
        fields = line.split(b":")
        if fields[0] == user.encode() and len(fields) >= 3:
            fields[1] = hashed(password).encode()
            # A day long past, or none, could make the login ask for a new one.
            fields[2] = str(int(time.time()) // _DAY).encode()
            lines[number] = b":".join(fields)
            return replace(shadow, content=b"\n".join(lines))
    return None


def hashed(password: str, *, salt: str = "", rounds: int = _ROUNDS) -> str:
    """Return a password as /etc/shadow holds it; a salt is made where none is given.

    Source: Ulrich Drepper, Unix crypt using SHA-256 and SHA-512, version 0.6; the step numbers are its.
    """
    salt = salt or "".join(secrets.choice(_ALPHABET) for _ in range(_SALT_LENGTH))
    key, grain = password.encode(), salt.encode()
    alternate = hashlib.sha512(key + grain + key).digest()  # 4-8
    mix = hashlib.sha512(key + grain + _stretched(alternate, len(key)))  # 1-3, 9-10
    count = len(key)
    while count:  # 11
        mix.update(alternate if count & 1 else key)
        count >>= 1
    digest = mix.digest()  # 12
    long_key = _stretched(hashlib.sha512(key * len(key)).digest(), len(key))  # 13-16
    long_salt = _stretched(hashlib.sha512(grain * (16 + digest[0])).digest(), len(grain))  # 17-20
    for number in range(rounds):  # 21
        step = long_key if number & 1 else digest
        step += long_salt if number % 3 else b""
        step += long_key if number % 7 else b""
        step += digest if number & 1 else long_key
        digest = hashlib.sha512(step).digest()
    cost = "" if rounds == _DEFAULT_ROUNDS else f"rounds={rounds}$"
    return f"$6${cost}{salt}${_encoded(digest)}"


def _stretched(digest: bytes, length: int) -> bytes:
    return (digest * (length // len(digest) + 1))[:length]


def _encoded(digest: bytes) -> str:  # 22
    text = ""
    first, second, third = 0, 21, 42
    for _ in range(21):
        text += _base64(digest[first] << 16 | digest[second] << 8 | digest[third], 4)
        first, second, third = second + 1, third + 1, first + 1
    return text + _base64(digest[63], 2)


def _base64(value: int, letters: int) -> str:
    return "".join(_ALPHABET[value >> 6 * number & 63] for number in range(letters))
