# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
import time

import pytest

from novadocker.host import kvm


def _program(folder, text: str) -> None:
    folder.mkdir()
    (folder / "qemu-system-x86_64").write_text(f"#!/bin/sh\n{text}\n")
    (folder / "qemu-system-x86_64").chmod(0o755)


def test_the_answer_comes_in_time():
    began = time.monotonic()
    assert kvm.usable(seconds=3) in (True, False)
    assert time.monotonic() - began < 6


@pytest.mark.parametrize(
    ("text", "usable"),
    [
        pytest.param("exit 33", True, id="got to its end"),
        pytest.param("exit 0", False, id="ended without"),
        pytest.param("echo failed to set MSR >&2; exit 1", False, id="refused"),
        pytest.param("exec sleep 4711", False, id="hangs"),
    ],
)
def test_it_is_usable_if_a_machine_gets_to_its_end(tmp_path, monkeypatch, text, usable):
    _program(tmp_path / "bin", text)
    (tmp_path / "kvm").touch()
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    monkeypatch.setattr(kvm, "_processor_flags", lambda: ["flags", "vmx"])
    monkeypatch.setattr(kvm, "DEVICE", tmp_path / "kvm")
    assert kvm.usable(seconds=0.5) is usable


@pytest.mark.parametrize("lacking", ["processor", "device", "program"])
def test_it_is_not_where_anything_is_missing(tmp_path, monkeypatch, lacking):
    _program(tmp_path / "bin", "exit 33")
    if lacking != "device":
        (tmp_path / "kvm").touch()
    monkeypatch.setenv("PATH", "/nowhere" if lacking == "program" else f"{tmp_path / 'bin'}:/usr/bin:/bin")
    monkeypatch.setattr(kvm, "_processor_flags", lambda: [] if lacking == "processor" else ["svm"])
    monkeypatch.setattr(kvm, "DEVICE", tmp_path / "kvm")
    assert not kvm.usable(seconds=0.5)
