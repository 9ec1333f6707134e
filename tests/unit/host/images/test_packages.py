# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
import io
import tarfile

import pytest

from novadocker.errors import NovaDockerError
from novadocker.host.images import packages


def _deb(path, files: dict[str, bytes]):
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w:xz") as tar:
        for name, content in files.items():
            entry = tarfile.TarInfo(f"./{name}")
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    parts = {"debian-binary": b"2.0\n", "control.tar.xz": b"odd", "data.tar.xz": data.getvalue()}
    with path.open("wb") as stream:
        stream.write(b"!<arch>\n")
        for name, content in parts.items():
            stream.write(f"{name:<16}{0:<12}{0:<6}{0:<6}{'100644':<8}{len(content):<10}`\n".encode())
            stream.write(content + b"\n" * (len(content) % 2))
    return path


def test_a_file_of_a_package_is_read(tmp_path):
    deb = _deb(tmp_path / "a_1_all.deb", {"bin/a": b"AA", "bin/b": b"B"})
    assert packages.read(deb, ["/bin/b"]) == {"/bin/b": b"B"}


def test_a_file_that_is_not_there_is_named(tmp_path):
    deb = _deb(tmp_path / "a_1_all.deb", {"bin/a": b"AA"})
    with pytest.raises(NovaDockerError, match=r"a_1_all\.deb lacks /bin/c"):
        packages.read(deb, ["/bin/a", "/bin/c"])


def test_something_else_than_a_package_is_told(tmp_path):
    broken = tmp_path / "a_1_all.deb"
    broken.write_bytes(b"<html>not found</html>")
    with pytest.raises(NovaDockerError, match="is not a Debian package"):
        packages.read(broken, ["/bin/a"])


def test_what_is_in_the_cache_is_not_fetched(tmp_path, monkeypatch):
    monkeypatch.setattr(packages, "run", lambda *_, **__: pytest.fail("apt was asked"))
    deb = _deb(tmp_path / "a_1_all.deb", {})
    assert packages.fetch(["a"], cache=tmp_path) == {"a": deb}
